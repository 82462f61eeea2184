"""Laws that formats obey for all input."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from annexd.errors import ConfigError, FormatError, UnsafePath
from annexd.formats import branch_paths, journal_names, paths, pointer
from annexd.formats.extension import key_extension
from annexd.formats.filter_protocol import FilterSession
from annexd.formats.glob import Glob
from annexd.formats.key import MAX_FILE_NAME, Key, check_safe
from annexd.formats.largefiles import MatchFile, compile_matcher
from annexd.formats.logs import (
    difference,
    group,
    metadata,
    numcopies,
    presence,
    remote,
    trust,
    uuid_based,
    uuid_first_time,
)
from annexd.formats.logs import map as map_log
from annexd.formats.pktline import FLUSH, PacketReader, content_packets, packet
from annexd.formats.preferred_content import for_repository, parse
from annexd.formats.transfer_info import Direction, Transfer, TransferInfo, parse_info_path
from annexd.formats.union_merge import union_merge
from annexd.formats.units import parse_size
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from annexd.formats.worm import worm_name

NUMBERS = st.none() | st.integers(0, 10**20)
BACKENDS = st.binary(min_size=1, max_size=10).filter(lambda data: b"-" not in data and not data.endswith(b"E"))
NAMES = st.binary(max_size=40) | st.text("a&%:/._-\n", max_size=20).map(str.encode)
KEYS = st.builds(Key, BACKENDS, NAMES, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
CLOCKS = st.builds(VectorClock, st.integers(-(10**31), 10**31))
WORDS = st.binary(min_size=1, max_size=6).filter(lambda data: not set(data) & set(b" \r\n"))
VALUES = st.binary(max_size=12).filter(lambda data: not set(data) & set(b"\r\n"))
UUIDS = st.sampled_from([UUID(b"a"), UUID(b"b"), UUID(b"c")])
STATUSES = st.sampled_from([b"0", b"1", b"X"])
PRESENCE_LINES = st.builds(
    presence.PresenceLine, st.sampled_from([VectorClock.at(n) for n in range(3)]), STATUSES, UUIDS
)
PRESENCE_LOGS = st.lists(PRESENCE_LINES, max_size=8).map(presence.format)
BLOBS = st.lists(st.sampled_from([b"a", b"b", b"c", b"", b"\r"]), max_size=6).map(b"\n".join)
NOISE = st.binary(max_size=60) | st.text("0123456789s. XAE-\n\r=+!&;", max_size=60).map(str.encode)


@given(KEYS)
def test_a_key_survives_its_serialisation_and_its_file_name(key: Key) -> None:
    assert Key.parse(bytes(key)) == key
    assert Key.from_file_name(key.file_name()) == key
    assert b"/" not in key.file_name()


@given(KEYS)
def test_a_key_survives_pointer_link_and_location_log(key: Key) -> None:
    if len(key.file_name()) > MAX_FILE_NAME or b"\0" in bytes(key):
        return      # such a key never comes in
    if b"\n" not in bytes(key) and b"\r" not in bytes(key):
        assert pointer.parse_pointer(pointer.pointer_for(key)) == key
    assert pointer.parse_link(pointer.link_target(b"a/b", b".git/annex/objects/x/" + key.file_name())) == key
    assert branch_paths.key_of_location_log(branch_paths.location_log(key)) == key


@given(st.from_regex(rb"/annex/objects/[A-Z]{1,3}E?(-s[0-9]{1,20})?--[0-9a-z._&%-]{1,150}\n?", fullmatch=True))
def test_the_short_way_of_reading_pointers_leads_where_the_long_one_does(data: bytes) -> None:
    assert pointer.parse_pointer(data) == pointer.parse_link(data.removesuffix(b"\n"))


@given(KEYS | NOISE.map(lambda data: Key(b"WORM", data)))
def test_what_paths_from_elsewhere_name_is_safe(key: Key) -> None:
    found = pointer.parse_link(b".git/annex/objects/x/y/" + key.file_name())
    assert found is None or check_safe(found) == found


@given(NOISE)
def test_no_input_raises_anything_but_a_format_error(data: bytes) -> None:
    for read in (Key.parse, Key.from_file_name, VectorClock.parse, PacketReader().feed, FilterSession().receive):
        with suppress(FormatError):
            read(data)
    pointer.parse_pointer(b"/annex/objects/" + data)
    branch_paths.key_of_location_log(b"a/b/" + data + b".log")
    parse_info_path(data)
    TransferInfo.parse(data)
    for log in (presence, uuid_based, uuid_first_time, map_log, trust, group, remote, numcopies, metadata, difference):
        log.parse(data)
    metadata.current(data)


@given(NOISE)
def test_an_accepted_key_is_stable(data: bytes) -> None:
    with suppress(FormatError):
        key = Key.parse(data)
        assert Key.parse(bytes(key)) == key


@given(CLOCKS)
def test_a_clock_survives_its_text(clock: VectorClock) -> None:
    assert VectorClock.parse(clock.format()) == clock


@given(CLOCKS, CLOCKS)
def test_the_next_clock_is_newer_than_both_its_predecessor_and_no_older_than_now(
    prev: VectorClock, now: VectorClock
) -> None:
    following = VectorClock.next(prev, now)
    assert following > prev
    assert following >= now


@given(st.lists(st.text("ab_.-%é", min_size=1, max_size=6).filter(lambda part: not part.startswith("_")), min_size=1))
def test_a_branch_path_survives_its_journal_name(parts: list[str]) -> None:
    path = "/".join(parts).encode()  # a part that starts with "_" behind a "/" is ambiguous in git-annex's own scheme
    name = journal_names.to_journal_name(path)
    assert b"/" not in name
    assert journal_names.from_journal_name(name) == path


def lines(blob: bytes) -> set[bytes]:
    return set(blob.split(b"\n")) - {b""}


@given(BLOBS, BLOBS)
def test_union_merge_keeps_every_line_and_adds_none(local: bytes, ref: bytes) -> None:
    assert lines(union_merge(local, ref)) == lines(local) | lines(ref)


@given(BLOBS, BLOBS)
def test_union_merge_again_changes_nothing(local: bytes, ref: bytes) -> None:
    merged = union_merge(local, ref)
    assert lines(union_merge(merged, ref)) == lines(merged)
    assert union_merge(local, local) == local
    assert union_merge(union_merge(local, ref), merged) == merged


@given(PRESENCE_LOGS, UUIDS, STATUSES, st.integers(0, 3).map(VectorClock.at))
def test_a_status_that_was_set_is_the_status(log: bytes, uuid: UUID, status: bytes, now: VectorClock) -> None:
    before = presence.compact(log)
    after = presence.set_status(log, uuid, status, now)
    if after is None:
        assert before[uuid].status == status
        return
    changed = presence.compact(after)
    assert changed[uuid].status == status
    assert uuid not in before or changed[uuid].clock > before[uuid].clock
    assert {k: v for k, v in changed.items() if k != uuid} == {k: v for k, v in before.items() if k != uuid}
    assert presence.set_status(after, uuid, status, now) is None


ODD_LINES = st.sampled_from([b"", b"junk", b"2.50s 1 a", b"2 0 b", b"007s 1 a", b"1s 5 a", b"-1s X c", b"3s 1 a\r"])


@given(PRESENCE_LOGS, st.lists(ODD_LINES))
def test_the_newest_lines_are_those_found_the_slow_way(log: bytes, odd: list[bytes]) -> None:
    log += b"\n".join(odd)
    newest: dict[bytes, presence.PresenceLine] = {}
    for line in presence.parse(log):
        if line.info not in newest or line.clock > newest[line.info].clock:
            newest[line.info] = line
    assert presence.compact(log) == newest
    rewritten = presence.set_status(log, b"zzz", b"1", VectorClock.at(9))
    zzz = presence.PresenceLine(VectorClock.at(9), b"1", b"zzz")
    assert rewritten == presence.format([newest[info] for info in sorted(newest)] + [zzz])


@given(PRESENCE_LOGS, PRESENCE_LOGS, UUIDS, STATUSES)
def test_a_change_wins_over_what_it_replaced_after_any_merge(
    log: bytes, other: bytes, uuid: UUID, status: bytes
) -> None:
    after = presence.set_status(log, uuid, status, VectorClock.at(100)) or log
    merged = union_merge(union_merge(log, other), after)
    newest = presence.compact(merged)[uuid]
    assert newest.status == status or newest in presence.parse(other) + presence.parse(log)


@given(st.dictionaries(UUIDS, VALUES, max_size=3))
def test_uuid_based_logs_survive_their_text(values: dict[UUID, bytes]) -> None:
    old, new = None, None
    for uuid, value in values.items():
        old = uuid_based.set_value(old, uuid, value, VectorClock.at(5))
        new = uuid_first_time.set_value(new, uuid, value, VectorClock.at(5))
    assert uuid_based.values(old) == uuid_first_time.values(new) == values


@given(st.dictionaries(WORDS.filter(lambda name: b"=" not in name and name.split() == [name]), st.binary(max_size=12)))
def test_settings_of_remotes_survive_their_text(settings: dict[bytes, bytes]) -> None:
    text = remote.format_settings(settings)
    assert remote.parse_settings(text) == settings
    assert b"\n" not in text


FIELDS = st.text("abc", min_size=1, max_size=3).map(str.encode)


@given(st.lists(st.dictionaries(FIELDS, st.dictionaries(st.binary(max_size=5), st.booleans(), min_size=1)), max_size=4))
def test_metadata_is_what_the_changes_in_turn_make_it(all_changes: list[metadata.Changes]) -> None:
    log: bytes | None = None
    state: dict[bytes, set[bytes]] = {}
    for changes in all_changes:
        log = metadata.change(log, changes, VectorClock.at(5))
        for field, values in changes.items():
            for value, is_set in values.items():
                (set.add if is_set else set.discard)(state.setdefault(field, set()), value)
    assert metadata.current(log) == {field: values for field, values in state.items() if values}


@given(st.sets(st.sampled_from(difference.Difference)))
def test_tunings_survive_their_text(known: set[difference.Difference]) -> None:
    tuned = difference.Differences(frozenset(known))
    assert difference.parse_value(difference.format_value(tuned)) == tuned


@given(st.lists(st.binary(max_size=20) | st.none(), max_size=6), st.integers(1, 9))
def test_packets_survive_any_cutting(packets: list[bytes | None], step: int) -> None:
    data = b"".join(FLUSH if one is None else packet(one) for one in packets)
    reader = PacketReader()
    assert [p for at in range(0, len(data), step) for p in reader.feed(data[at : at + step])] == packets


@given(st.binary(max_size=200_000))
def test_content_survives_its_packets(data: bytes) -> None:
    assert b"".join(one or b"" for one in PacketReader().feed(content_packets(data))) == data


@given(st.binary(max_size=30), st.integers(-1, 6), st.integers(-1, 4))
def test_an_extension_is_the_end_of_nothing_odd(name: bytes, length: int, count: int) -> None:
    extension = key_extension(name, length, count)
    parts = extension.split(b".")[1:]
    assert extension == b"" or (extension.startswith(b".") and len(parts) <= count)
    assert all(0 < len(part) <= length for part in parts)
    assert b"/" not in extension


@given(st.binary(max_size=90))
def test_a_worm_name_is_short_or_only_sanitised(path: bytes) -> None:
    name = worm_name(path)
    assert name.isascii()
    assert b" " not in name
    assert len(path) <= 64 or len(name) <= 64


@given(st.text("ab*?[]!^-\\.é/", max_size=10), st.binary(max_size=8))
def test_any_glob_compiles_and_answers(pattern: str, name: bytes) -> None:
    assert isinstance(Glob(pattern).matches(name), bool)
    if not set(pattern) & set("*?["):
        assert Glob(pattern).matches(pattern.encode())


EXPRESSIONS = st.lists(
    st.sampled_from(
        ["and", "or", "not", "(", ")", "anything", "nothing", "include=a*", "largerthan=1k", "standard", "x"]
    ),
    max_size=12,
).map(" ".join)


@given(EXPRESSIONS | st.text(max_size=30))
def test_any_expression_is_read_or_refused(text: str) -> None:
    with suppress(ConfigError):
        assert compile_matcher(text).matches(MatchFile(b"ab", 5000, bytes)) in (True, False)
    with suppress(ConfigError):
        parse(text.encode("utf-8", "surrogatepass"))
    for_repository(
        text.encode("utf-8", "surrogatepass"), {b"client"}, {b"client": text.encode("utf-8", "surrogatepass")}
    )


@given(st.text(max_size=12) | st.from_regex(r"\d+(\.\d+)?(e\d{1,3})? ?[kKmM]?i?[bB]?", fullmatch=True))
def test_any_size_is_read_or_refused(text: str) -> None:
    with suppress(ConfigError):
        assert parse_size(text) >= 0


@given(st.binary(max_size=30) | st.text("./\\gitGIT\0", max_size=10).map(str.encode))
def test_a_checked_path_stays_inside(path: bytes) -> None:
    with suppress(UnsafePath):
        parts = paths.check_repo_path(path).split(b"/")
        assert not {b"", b".", b"..", b".git"} & {part.lower() for part in parts}
        assert b"\0" not in path


@given(st.binary(max_size=30))
def test_a_displayed_path_has_no_control_characters(path: bytes) -> None:
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in paths.display(path))


@given(st.sampled_from(Direction), UUIDS, KEYS)
def test_a_transfer_survives_its_paths(direction: Direction, uuid: UUID, key: Key) -> None:
    transfer = Transfer(direction, uuid, key)
    assert parse_info_path(transfer.failed_path()) == parse_info_path(transfer.info_path())
    if not key.file_name().startswith(b"lck."):
        assert parse_info_path(transfer.info_path()) == transfer


@given(CLOCKS, st.none() | st.integers(0, 10**18), st.none() | st.binary(min_size=1, max_size=20))
def test_a_transfer_file_survives_its_text(started: VectorClock, done: int | None, file: bytes | None) -> None:
    info = TransferInfo(started, done, file)
    assert TransferInfo.parse(info.serialise()) == info
