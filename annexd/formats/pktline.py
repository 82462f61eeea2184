"""git's pkt-line framing.

Source: git, protocol-common: four hex digits of length, themselves included; "0000" is a flush.
"""

from __future__ import annotations

from annexd.errors import FormatError

MAX_CONTENT = 65516
"""Bytes that one packet holds at most."""

FLUSH = b"0000"

_HEX = frozenset(b"0123456789abcdefABCDEF")


def packet(content: bytes) -> bytes:
    """One packet; `content` is at most `MAX_CONTENT` bytes."""
    if len(content) > MAX_CONTENT:
        raise FormatError(f"{len(content)} bytes do not fit into one packet", source="pkt-line")
    return b"%04x%b" % (len(content) + 4, content)


def content_packets(data: bytes) -> bytes:
    """As many packets as `data` needs, which is none when it is empty; without the flush that ends it."""
    return b"".join([packet(data[start : start + MAX_CONTENT]) for start in range(0, len(data), MAX_CONTENT)])


class PacketReader:
    """Takes bytes as they come and gives packets as they are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes | None]:
        """The packets that `data` completes; None stands for a flush. Raises FormatError."""
        self._buffer += data
        packets: list[bytes | None] = []
        start = 0
        try:
            while (end := self._end_of_packet(start)) is not None:
                packets.append(bytes(self._buffer[start + 4 : end]) if end > start else None)
                start = max(end, start + 4)
        finally:
            del self._buffer[:start]
        return packets

    @property
    def is_between_packets(self) -> bool:
        """Whether no packet is half read, so that the stream may end here."""
        return not self._buffer

    def _end_of_packet(self, start: int) -> int | None:
        """Where the packet at `start` ends (`start` itself for a flush), or None while it is not whole."""
        head = self._buffer[start : start + 4]
        if len(head) < 4:
            return None
        if not _HEX.issuperset(head):
            raise FormatError("a packet does not start with its length", source="pkt-line")
        length = int(head, 16)
        if length == 0:
            return start
        if length < 4 or length - 4 > MAX_CONTENT:
            raise FormatError(f"a packet cannot have the length {length}", source="pkt-line")
        return start + length if len(self._buffer) >= start + length else None
