"""pkt-lines, the filter protocol, transfer files."""

from __future__ import annotations

import pytest

from annexd.errors import FormatError
from annexd.formats.filter_protocol import FilterCommand, FilterContent, FilterEnded, FilterSession, FilterStarted
from annexd.formats.key import Key
from annexd.formats.pktline import FLUSH, MAX_CONTENT, PacketReader, content_packets, packet
from annexd.formats.transfer_info import Direction, Transfer, TransferInfo, parse_info_path
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock

HELLO = packet(b"git-filter-client\n") + packet(b"version=2\n") + FLUSH
ABILITIES = packet(b"capability=clean\n") + packet(b"capability=smudge\n") + FLUSH


def greeted() -> FilterSession:
    session = FilterSession()
    session.receive(HELLO + ABILITIES)
    session.bytes_to_send()
    return session


def test_packets_come_out_whole_however_they_arrive() -> None:
    data = packet(b"") + packet(b"abc") + FLUSH + content_packets(b"x" * (MAX_CONTENT + 1)) + FLUSH
    reader = PacketReader()
    packets = [one for start in range(0, len(data), 7) for one in reader.feed(data[start : start + 7])]
    assert packets == [b"", b"abc", None, b"x" * MAX_CONTENT, b"x", None]
    assert reader.is_between_packets


@pytest.mark.parametrize("data", [b"zzzz", b"0001", b"0003", b"fff1", b"-001", b"0 x1"])
def test_a_packet_with_a_bad_length_is_an_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        PacketReader().feed(data)


def test_too_much_for_one_packet_is_an_error() -> None:
    with pytest.raises(FormatError):
        packet(b"x" * (MAX_CONTENT + 1))


def test_large_content_comes_in_pieces_and_unknown_keys_are_ignored() -> None:
    session = greeted()
    content = b"y" * (3 * MAX_CONTENT)
    head = packet(b"command=clean\n") + packet(b"pathname=a=b\n") + packet(b"ref=refs/heads/x\n") + FLUSH
    events = session.receive(head + content_packets(content) + FLUSH)
    assert events[0] == FilterStarted(FilterCommand.CLEAN, b"a=b")
    assert [len(one.data) for one in events if isinstance(one, FilterContent)] == [MAX_CONTENT] * 3
    assert events[-1] == FilterEnded()


def test_output_can_be_sent_in_pieces() -> None:
    session = greeted()
    session.receive(packet(b"command=smudge\n") + packet(b"pathname=f\n") + FLUSH + FLUSH)
    session.begin_output()
    session.send_output(b"one")
    session.send_output(b"two")
    session.end_output()
    assert session.bytes_to_send() == packet(b"status=success\n") + FLUSH + packet(b"one") + packet(b"two") + FLUSH * 2
    assert session.bytes_to_send() == b""


def test_a_failure_concerns_one_file_and_the_next_is_served() -> None:
    session = greeted()
    request = packet(b"command=clean\n") + packet(b"pathname=f\n") + FLUSH + FLUSH
    session.receive(request)
    session.fail()
    assert session.bytes_to_send() == packet(b"status=error\n") + FLUSH
    assert session.receive(request)[0] == FilterStarted(FilterCommand.CLEAN, b"f")


def test_only_abilities_that_git_offers_are_answered() -> None:
    session = FilterSession()
    session.receive(HELLO + packet(b"capability=smudge\n") + FLUSH)
    assert session.bytes_to_send().endswith(FLUSH + packet(b"capability=smudge\n") + FLUSH)


@pytest.mark.parametrize(
    "data",
    [
        packet(b"git-filter-server\n") + FLUSH,
        packet(b"git-filter-client\n") + packet(b"version=3\n") + FLUSH,
        FLUSH,
        HELLO + ABILITIES + packet(b"command=clean\n") + FLUSH,
        HELLO + ABILITIES + packet(b"command=list\n") + packet(b"pathname=x\n") + FLUSH,
        HELLO + ABILITIES + packet(b"command=clean\n") + packet(b"pathname=x\n") + FLUSH * 3,
    ],
)
def test_a_broken_conversation_is_an_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        FilterSession().receive(data)


def test_the_stream_may_end_only_between_files() -> None:
    session = greeted()
    assert session.may_end
    session.receive(packet(b"command=clean\n"))
    assert not session.may_end
    assert not FilterSession().may_end


KEY = Key.parse(b"SHA256E-s6--ab.txt")


def test_a_transfer_is_known_by_the_path_of_its_file() -> None:
    transfer = Transfer(Direction.UPLOAD, UUID(b"u"), KEY)
    assert transfer.info_path() == b"upload/u/SHA256E-s6--ab.txt"
    assert transfer.lock_path() == b"upload/u/lck.SHA256E-s6--ab.txt"
    assert parse_info_path(transfer.info_path()) == parse_info_path(transfer.failed_path()) == transfer


@pytest.mark.parametrize("path", [b"upload/u/lck.FOO--x", b"upload/u/tmp123", b"sideload/u/FOO--x", b"upload/FOO--x"])
def test_other_files_are_no_transfers(path: bytes) -> None:
    assert parse_info_path(path) is None


def test_transfer_files_are_read_as_git_annex_writes_them() -> None:
    info = TransferInfo.parse(b"1795189979.631060744s 1408336\nbig file\n")
    assert info == TransferInfo(VectorClock.parse(b"1795189979.631060744s"), 1408336, b"big file")
    assert info.serialise() == b"1795189979.631060744s 1408336\nbig file\n"
    assert TransferInfo.parse(b"5s\n\n") == TransferInfo(VectorClock.at(5))
    assert TransferInfo.parse(b"5s 1\na\nb\n\n").file == b"a\nb\n"


@pytest.mark.parametrize("data", [b"", b"\n", b"179518997", b"junk 7x\nf", b"5s 12"])
def test_a_half_written_transfer_file_is_no_error(data: bytes) -> None:
    assert TransferInfo.parse(data).file in (None, b"f")
