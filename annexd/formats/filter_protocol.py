"""Our side of git's long-running filter protocol, without I/O: bytes in, requests out, bytes to send.

Source: git, gitattributes, "long running filter process", version 2.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from annexd.errors import FormatError
from annexd.formats.pktline import FLUSH, PacketReader, content_packets, packet

_SOURCE = "filter protocol"
_ABILITIES = (b"clean", b"smudge")


class FilterCommand(enum.Enum):
    """What git wants done; each value is its spelling in the protocol."""

    CLEAN = b"clean"
    SMUDGE = b"smudge"


@dataclass(frozen=True, slots=True)
class FilterStarted:
    """git wants the file at `path` filtered; its content follows."""

    command: FilterCommand
    path: bytes


@dataclass(frozen=True, slots=True)
class FilterContent:
    """A piece of the content, files can be larger than memory, so keep only what counts."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FilterEnded:
    """The content is complete, and git waits for the answer."""


FilterEvent = FilterStarted | FilterContent | FilterEnded


class _State(enum.Enum):
    HELLO = "waiting for the client's welcome"
    ABILITIES = "waiting for the client's abilities"
    HEADER = "waiting for a request"
    CONTENT = "reading the content of a request"
    ANSWER = "waiting for our own answer"


class FilterSession:
    """One conversation, owned by one thread. Each `FilterEnded` is answered before the next file comes."""

    def __init__(self) -> None:
        self._reader = PacketReader()
        self._state = _State.HELLO
        self._lines: list[bytes] = []
        self._to_send: list[bytes] = []

    def receive(self, data: bytes) -> list[FilterEvent]:
        """What `data` tells. Raises FormatError when git breaks the protocol."""
        events: list[FilterEvent] = []
        for line in self._reader.feed(data):
            if self._state is _State.CONTENT:
                events.append(self._content(line))
            elif line is not None:
                self._lines.append(line.removesuffix(b"\n"))
            else:
                lines, self._lines = self._lines, []
                events += self._end_of_list(lines)
        return events

    def succeed(self, output: bytes) -> None:
        """Answers with the whole filtered content."""
        self.begin_output()
        self.send_output(output)
        self.end_output()

    def begin_output(self) -> None:
        """Answers that filtered content follows, piece by piece."""
        self._answering()
        self._to_send += [packet(b"status=success\n"), FLUSH]

    def send_output(self, data: bytes) -> None:
        """A piece of the filtered content; needs a `begin_output` before it."""
        self._to_send.append(content_packets(data))

    def end_output(self) -> None:
        """Ends the filtered content; all went well."""
        self._to_send += [FLUSH, FLUSH]

    def fail(self) -> None:
        """Answers with an error, for this file alone; instead of any output."""
        self._answering()
        self._to_send += [packet(b"status=error\n"), FLUSH]

    def bytes_to_send(self) -> bytes:
        """What is to be written to git now; asked for once, it is forgotten."""
        data = b"".join(self._to_send)
        self._to_send.clear()
        return data

    @property
    def may_end(self) -> bool:
        """Whether git may close the stream here without anything being cut short."""
        return self._state is _State.HEADER and not self._lines and self._reader.is_between_packets

    def _content(self, line: bytes | None) -> FilterEvent:
        if line is not None:
            return FilterContent(line)
        self._state = _State.ANSWER
        return FilterEnded()

    def _end_of_list(self, lines: Sequence[bytes]) -> list[FilterEvent]:
        match self._state:
            case _State.HELLO:
                self._welcome(lines)
                self._state = _State.ABILITIES
            case _State.ABILITIES:
                offered = {line.removeprefix(b"capability=") for line in lines}
                self._to_send += [packet(b"capability=%b\n" % name) for name in _ABILITIES if name in offered]
                self._to_send.append(FLUSH)
                self._state = _State.HEADER
            case _State.HEADER:
                self._state = _State.CONTENT
                return [_started(lines)]
            case _:
                raise FormatError(f"git sent a list while {self._state.value}", source=_SOURCE)
        return []

    def _welcome(self, lines: Sequence[bytes]) -> None:
        if not lines or lines[0] != b"git-filter-client":
            raise FormatError("the other side is no git filter client", source=_SOURCE)
        if b"version=2" not in lines:
            raise FormatError("git does not speak version 2 of the protocol", source=_SOURCE)
        self._to_send += [packet(b"git-filter-server\n"), packet(b"version=2\n"), FLUSH]

    def _answering(self) -> None:
        assert self._state is _State.ANSWER, "an answer without a request"
        self._state = _State.HEADER


def _started(lines: Sequence[bytes]) -> FilterStarted:
    fields = {name: value for name, _, value in (line.partition(b"=") for line in lines)}
    if b"pathname" not in fields:
        raise FormatError("a request names no path", source=_SOURCE)
    try:
        return FilterStarted(FilterCommand(fields.get(b"command", b"")), fields[b"pathname"])
    except ValueError as problem:
        raise FormatError("a request has an unknown command", source=_SOURCE) from problem
