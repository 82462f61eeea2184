"""Small formats: paths, sizes, clocks, uuids, journal and branch names."""

from __future__ import annotations

import uuid as std_uuid

import pytest

from annexd.errors import ConfigError, FormatError, UnsafePath
from annexd.formats import branch_paths, paths, uuid
from annexd.formats.key import Key
from annexd.formats.logs.registry import Grammar, grammar_of
from annexd.formats.units import format_size, format_size_short, parse_size
from annexd.formats.vector_clock import UNKNOWN, VectorClock

HOSTILE = [b"", b"/etc/passwd", b"../x", b"a/../b", b"a/..", b"./a", b"a/.", b"a//b", b"a/", b".git/config"]
HOSTILE += [b"a/.GIT/hooks/x", b".Git", b"a\0b"]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_out_of_the_work_tree_is_unsafe(path: bytes) -> None:
    with pytest.raises(UnsafePath):
        paths.check_repo_path(path)


@pytest.mark.parametrize("path", [b"a", b"a/b", b".gitignore", b"a/.gitx/b", b"...", b"a..b", b"\xff\n\\", b".git2/x"])
def test_a_path_inside_the_work_tree_is_safe(path: bytes) -> None:
    assert paths.check_repo_path(path) is path


def test_what_people_see_of_a_path_cannot_move_their_cursor() -> None:
    assert paths.display("dir/é".encode()) == "dir/é"
    assert paths.display(b"a\x1b[2J\n\xff") == r"a\x1b[2J\n\xff"
    assert paths.display("a\u202eb".encode()) == r"a\u202eb"
    assert paths.from_text(paths.to_text(b"\xff\xc3\xa9")) == b"\xff\xc3\xa9"


SIZES = {"42": 42, "0b": 0, "1k": 1000, "1kb": 1000, "1KiB": 1024, "1.5gb": 1_500_000_000, "100 KiloBytes": 100_000}
SIZES |= {"0.5 gb": 500_000_000, "1e3": 1000, "2 mebibytes": 2 << 20, "5B": 5, "3Mi": 3 << 20, "1 byte": 1}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_sizes_are_read_with_any_usual_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "kb", "1x", ".5", "-1", "1 k b", "1kbps", "٣", "1.k", "9" * 400 + "e1"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_size(text)


SHOWN = {0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 kilobyte", 15360: "15.36 kilobytes"}
SHOWN |= {1_500_000: "1.5 megabytes", -2000: "-2 kilobytes", 10**25: "10 yottabytes"}


@pytest.mark.parametrize(("size", "text"), SHOWN.items())
def test_sizes_are_shown_as_git_annex_shows_them(size: int, text: str) -> None:
    assert format_size(size) == text


def test_sizes_have_a_short_form() -> None:
    assert [format_size_short(size) for size in (7, 15360, 10**9)] == ["7 B", "15.36 kB", "1 GB"]


def test_an_entry_is_always_newer_than_the_one_it_replaces() -> None:
    now = VectorClock.at(1000)
    assert VectorClock.next(None, now) == now
    assert VectorClock.next(UNKNOWN, now) == now
    assert VectorClock.next(VectorClock.at(999), now) == now
    assert VectorClock.next(now, now) == VectorClock.at(1001)
    assert VectorClock.next(VectorClock.parse(b"2000.25s"), now).format() == b"2001.25s"


@pytest.mark.parametrize("text", [b"", b"s", b"x", b"1.s", b"1ss", b"+1", b"1 ", b"1_0s", b"--1s", b"9" * 30, b"1e3s"])
def test_what_is_no_timestamp_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError):
        VectorClock.parse(text)


def test_a_missing_timestamp_is_older_than_any_other() -> None:
    assert VectorClock.parse(b"-" + b"9" * 20 + b"s") > UNKNOWN
    assert not UNKNOWN.is_known
    assert UNKNOWN.format() == b"0"


def test_clocks_compare_exactly_and_not_as_floats() -> None:
    assert VectorClock.parse(b"1700000000.123456789012s") < VectorClock.parse(b"1700000000.123456789013s")
    assert VectorClock.parse(b"-5.5s") < VectorClock.parse(b"-5s")


def test_a_new_uuid_is_random_and_of_version_4() -> None:
    made = uuid.new_uuid()
    assert std_uuid.UUID(made.decode()).version == 4
    assert made != uuid.new_uuid()


def test_only_files_at_the_expected_depth_are_location_logs() -> None:
    key = Key.parse(b"FOO--x")
    path = branch_paths.location_log(key)
    assert branch_paths.key_of_location_log(path) == key
    for other in (b"uuid.log", path[4:], b"x/" + path, path + b".web", b"a/b/nokey.log", path[:-4]):
        assert branch_paths.key_of_location_log(other) is None
    assert branch_paths.key_of_log(branch_paths.web_log(key), b".log.web") == key


def test_every_log_of_a_key_has_its_grammar() -> None:
    key = Key.parse(b"FOO-s1--a.log.web")
    assert grammar_of(branch_paths.location_log(key)) is Grammar.PRESENCE
    assert grammar_of(branch_paths.web_log(key)) is Grammar.PRESENCE
    assert grammar_of(branch_paths.remote_state_log(key)) is Grammar.UUID_FIRST_TIME
    assert grammar_of(branch_paths.content_id_log(key)) is Grammar.UUID_FIRST_TIME
    assert grammar_of(branch_paths.chunk_log(key)) is Grammar.MAP
    assert grammar_of(branch_paths.metadata_log(key)) is Grammar.METADATA
    assert grammar_of(branch_paths.remote_metadata_log(key)) is Grammar.METADATA
    assert grammar_of(b"uuid.log") is Grammar.UUID_BASED
    assert grammar_of(b"new-thing.log") is Grammar.OTHER
    assert grammar_of(b"export.tree/a") is Grammar.OTHER
