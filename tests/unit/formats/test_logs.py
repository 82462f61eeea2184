"""What the vectors leave open about the logs of the git-annex branch."""

from __future__ import annotations

import pytest

from annexd.errors import FormatError
from annexd.formats.logs import (
    config,
    difference,
    group,
    metadata,
    numcopies,
    presence,
    remote,
    transitions,
    trust,
    uuid_based,
    uuid_first_time,
)
from annexd.formats.logs import map as map_log
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import UNKNOWN, VectorClock

A = UUID(b"aaaaaaaa-1111-4222-8333-444444444444")
B = UUID(b"bbbbbbbb-1111-4222-8333-444444444444")
NOW = VectorClock.at(1700000000)


def test_present_counts_only_the_newest_line_of_each_repository() -> None:
    log = b"1s 1 %b\n2s 0 %b\n1s 1 %b\n5s X c\n" % (A, A, B)
    assert presence.present(log) == {B}
    assert presence.present(None) == presence.present(b"") == set()


def test_a_key_is_dead_only_when_all_its_lines_are() -> None:
    assert presence.is_dead(b"1s X %b\n" % A)
    assert not presence.is_dead(b"1s X %b\n1s 0 %b\n" % (A, B))
    assert not presence.is_dead(b"")
    assert presence.mark_dead(b"1s 1 %b\n" % A) is None


def test_lines_of_a_repository_can_be_taken_out_of_a_presence_log() -> None:
    log = b"1s 1 %b\n1s 1 %b\n" % (A, B)
    assert presence.without(log, {A}) == b"1s 1 %b\n" % B
    assert presence.without(log, {b"c"}) is None


def test_urls_may_hold_anything_but_line_ends() -> None:
    log = presence.set_status(None, b"http://h/a b?c=1 2", b"1", NOW)
    assert presence.present_infos(log) == {b"http://h/a b?c=1 2"}


@pytest.mark.parametrize("line", [b"1s 1", b"1s 2 u", b"1s11 u", b" 1 u", b"xs 1 u", b"1_0s 1 u", b"1s  1 u"])
def test_bad_presence_lines_are_passed_over(line: bytes) -> None:
    assert presence.parse(line + b"\n1s 1 u\n") == [presence.PresenceLine(VectorClock.at(1), b"1", b"u")]


def test_a_value_without_a_timestamp_is_older_than_any_other_and_stays_without() -> None:
    log = b"%b old\n%b new timestamp=-9s\n%b bare\n" % (A, A, B)
    entries = uuid_based.parse(log)
    assert entries[A].value == b"new"
    assert entries[B] == (b"bare", UNKNOWN)
    assert uuid_based.set_value(log, A, b"x", NOW) == b"%b x timestamp=1700000000s\n%b bare\n" % (A, B)


def test_a_timestamp_that_does_not_parse_belongs_to_the_value() -> None:
    assert uuid_based.parse(b"u a timestamp=x\n") == {b"u": (b"a timestamp=x", UNKNOWN)}
    assert uuid_based.parse(b"u a timestamp=5s b\n") == {b"u": (b"a timestamp=5s b", UNKNOWN)}
    assert uuid_based.parse(b"u a timestamp=5s timestamp=6s\n")[UUID(b"u")].value == b"a timestamp=5s"


def test_blanks_inside_values_are_kept() -> None:
    assert uuid_based.values(b"u  a  b timestamp=1s\n") == {b"u": b" a  b"}
    assert uuid_based.values(b"u  timestamp=1s\n") == {b"u": b""}


def test_repositories_can_be_taken_out_of_logs() -> None:
    assert uuid_based.without(b"%b x timestamp=1s\n%b y timestamp=1s\n" % (A, B), [A]) == b"%b y timestamp=1s\n" % B
    assert uuid_first_time.without(b"1s %b x\n1s %b y\n" % (A, B), [A]) == b"1s %b y\n" % B


def test_map_lines_need_a_field_and_a_value() -> None:
    assert map_log.values(b"1s a\n1s b \n1s c d e\nx d e\n") == {b"b": b"", b"c": b"d e"}


def test_an_unset_setting_is_not_there() -> None:
    assert config.parse(b"1s annex.a true\n1s annex.b \n") == {b"annex.a": b"true"}


def test_copies_are_read_as_the_newest_number_and_the_greater_of_equals() -> None:
    assert numcopies.parse(b"100s 5\n100s 9\n100s 7\n") == 9
    assert numcopies.parse(b"100s 9\n200s x\n150s 10\n") == 10
    assert numcopies.parse(None) is None


def test_trust_and_groups_are_read_by_repository() -> None:
    assert trust.parse(b"%b X timestamp=1s\n%b junk timestamp=1s\n" % (A, B)) == {A: trust.TrustLevel.DEAD}
    assert group.parse(b"%b b a timestamp=1s\n%b  timestamp=1s\n" % (A, B)) == {A: {b"a", b"b"}, B: frozenset()}


def test_settings_of_remotes_survive_blanks_and_escapes() -> None:
    settings = {b"name": "é &1; x\t\u3000".encode(), b"b": b"\xff&", b"empty": b""}
    assert remote.parse_settings(remote.format_settings(settings)) == settings
    assert remote.unescape(b"a&b &x; &55296; &99999999;") == b"a&b &x; &55296; &99999999;"


def test_an_unknown_tuning_spoils_the_whole_log() -> None:
    log = b"%b fromList [OneLevelObjectHash] timestamp=1s\n%b fromList [New] timestamp=1s\n" % (A, B)
    assert difference.parse(log) == difference.UNKNOWN_DIFFERENCES
    assert not difference.UNKNOWN_DIFFERENCES.fits(difference.UNKNOWN_DIFFERENCES)
    assert difference.NONE.fits(difference.parse(None))


def test_transitions_are_read_and_junk_is_not_ignored() -> None:
    log = b"ForgetGitHistory 1s\nForgetDeadRemotes 1s\n"
    assert transitions.format(transitions.parse(log)) == log
    assert transitions.parse(None) == frozenset()
    with pytest.raises(FormatError):
        transitions.parse(b"junk\n")


def test_metadata_fields_compare_without_regard_to_case() -> None:
    log = b"1s Author +a tag +x\n2s author -a +b\n"
    assert metadata.current(log) == {b"author": {b"b"}, b"tag": {b"x"}}
    assert metadata.replacing(log, b"AUTHOR", [b"c"]) == {b"AUTHOR": {b"b": False, b"c": True}}


def test_a_metadata_change_is_newer_than_all_of_the_log() -> None:
    log = metadata.change(b"1800000000s x +1\n", {b"y": {b"2": True}}, NOW)
    assert log == b"1800000000s x +1\n1800000001s y +2\n"


def test_metadata_that_changes_nothing_only_tidies_up() -> None:
    assert metadata.change(b"1s a +1\n2s a -1\n", {}, NOW) == b"2s a -1\n"
