"""What a repository wants; single terms were checked with `git annex matchexpression` and `find --want-get`."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace

import pytest

from annexd.errors import ConfigError
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.preferred_content import KEEP_WHAT_IS_THERE, for_repository, matches, parse, wants
from annexd.formats.preferred_content_terms import NumCopiesFrom
from annexd.formats.standard_groups import STANDARD, standard_expression
from annexd.formats.uuid import UUID

A, B, C, D = UUID(b"a"), UUID(b"b"), UUID(b"c"), UUID(b"d")


@dataclass(frozen=True)
class Known:
    path: bytes | None = b"a/public/x.mp3"
    size: int | None = 1000
    backend: bytes = b"SHA256E"
    is_secure: bool = True
    is_present: bool = True
    is_unused: bool = False
    preferred_dir: bytes = b"public"
    holders: frozenset[UUID] = frozenset((A, B, C))
    groups: dict[bytes, set[UUID]] = field(default_factory=lambda: {b"g": {A, B}, b"all": {A, B, C, D}})
    wanted_copies: int = 3

    def locations(self) -> Set[UUID]:
        return self.holders

    def trust(self, uuid: UUID) -> TrustLevel:
        return {A: TrustLevel.TRUSTED, C: TrustLevel.UNTRUSTED}.get(uuid, TrustLevel.SEMITRUSTED)

    def members(self, group: bytes) -> Set[UUID]:
        return self.groups.get(group, set())

    def numcopies(self, numcopies_from: NumCopiesFrom) -> int:
        return self.wanted_copies + (2 if numcopies_from is NumCopiesFrom.ALL_SOURCES else 0)

    def metadata(self, field: bytes) -> Set[bytes]:
        return {b"title": {b"Hello World"}, b"n": {b"12", b"abc"}}.get(field, set())


TRUE = ["", "anything", "present", "securehash", "inpreferreddir", "include=*.mp3", "exclude=*.ogg", "copies=3"]
TRUE += [
    "copies=g:2",
    "copies=trusted:1",
    "copies=semitrusted+:2",
    "copies=untrusted+:3",
    "copies=dead:0",
    "copies=x:0",
]
TRUE += [
    "copies=-1",
    "lackingcopies=3",
    "approxlackingcopies=1",
    "inbackend=SHA256E",
    "inallgroup=g",
    "inallgroup=none",
]
TRUE += ["onlyingroup=all", "smallerthan=1.1kb", "largerthan=999", "metadata=title=hello*", "metadata=N>11"]
TRUE += ["metadata=n>=12", "metadata=n<=12.0", "metadata=n=1[0-5]", "metadata=n=ABC", "metadata=title>1", "not unused"]

FALSE = ["nothing", "unused", "include=*.ogg", "exclude=*.mp3", "copies=4", "copies=g:3", "copies=none:1"]
FALSE += ["copies=trusted:2", "copies=semitrusted:2", "copies=trusted+:2", "copies=dead+:4", "lackingcopies=4"]
FALSE += ["approxlackingcopies=2", "inbackend=SHA256", "inallgroup=all", "onlyingroup=g", "onlyingroup=none"]
FALSE += ["smallerthan=1kb", "metadata=title=HELLO?", "metadata=n<12", "metadata=n", "metadata=n==12", "metadata=n>x"]
FALSE += ["anything or anything and nothing", "not present"]

BAD = [
    "copies=x",
    "lackingcopies=x",
    "inbacked=SHA256E",
    "in=here",
    "locked",
    "securehash=",
    "metadata=",
    "metadata==x",
]
BAD += ["copies=g:", "unknownterm", "mimetype=*"]


@pytest.mark.parametrize("text", TRUE)
def test_a_key_matches(text: str) -> None:
    assert matches(parse(text.encode()), Known())


@pytest.mark.parametrize("text", FALSE)
def test_a_key_does_not_match(text: str) -> None:
    assert not matches(parse(text.encode()), Known())


@pytest.mark.parametrize("text", BAD)
def test_a_bad_expression_is_an_error_and_keeps_what_is_there(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text.encode())
    assert for_repository(text.encode(), frozenset(), {}) == KEEP_WHAT_IS_THERE


@pytest.mark.parametrize("text", [b"include=*", b"exclude=x", b"inpreferreddir"])
def test_without_a_file_nothing_about_its_path_matches(text: bytes) -> None:
    assert not matches(parse(text), Known(path=None))


@pytest.mark.parametrize("text", [b"largerthan=0", b"smallerthan=1gb"])
def test_without_a_size_nothing_about_it_matches(text: bytes) -> None:
    assert not matches(parse(text), Known(size=None))


@pytest.mark.parametrize("path", [b"public", b"x/public", b"public/b/x", b"publicx/y"])
def test_only_files_right_in_the_preferred_directory_count(path: bytes) -> None:
    assert not matches(parse(b"inpreferreddir"), Known(path=path))


def test_content_that_would_be_unwanted_once_it_came_is_not_wanted() -> None:
    absent = Known(is_present=False)
    assert matches(parse(b"not present"), absent)
    assert not wants(parse(b"not present"), absent)
    assert wants(parse(b"include=*.mp3 and not unused"), absent)
    assert wants(parse(b"present or include=*.mp3"), absent)
    assert not wants(parse(b"present"), absent)


def test_a_standard_group_fills_in_standard() -> None:
    source = for_repository(b"standard", {b"source", b"mygroup"}, {})
    assert not wants(source, Known())
    assert wants(source, Known(holders=frozenset()))


@pytest.mark.parametrize("groups", [frozenset(), {b"mygroup"}, {b"client", b"backup"}])
def test_standard_without_just_one_standard_group_keeps_what_is_there(groups: Set[bytes]) -> None:
    wanted = for_repository(b"standard", groups, {})
    assert wants(wanted, Known())
    assert not wants(wanted, Known(is_present=False))


def test_the_expression_of_a_group_fills_in_groupwanted() -> None:
    wanted = for_repository(b"groupwanted or include=*.ogg", {b"g", b"client"}, {b"g": b"standard and include=*.mp3"})
    absent = Known(is_present=False)
    assert wants(wanted, absent)
    assert wants(wanted, replace(absent, path=b"x.ogg"))
    assert not wants(wanted, replace(absent, path=b"x.txt"))


@pytest.mark.parametrize(
    "expressions",
    [{}, {b"g": b""}, {b"g": b"anything", b"h": b"anything"}, {b"g": b"groupwanted"}, {b"g": b"junk"}],
)
def test_groupwanted_that_cannot_be_resolved_keeps_what_is_there(expressions: dict[bytes, bytes]) -> None:
    wanted = for_repository(b"groupwanted", {b"g", b"h"}, expressions)
    assert wants(wanted, Known())
    assert not wants(wanted, Known(is_present=False))


def test_every_standard_expression_can_be_read() -> None:
    for group, text in STANDARD.items():
        assert parse(text.encode()).terms()
        assert standard_expression({group}) == text


ARCHIVED = {b"archive": {D}, b"client": {A}}


@pytest.mark.parametrize(
    ("group", "facts", "expected"),
    [
        (b"client", Known(wanted_copies=1), True),
        (b"client", Known(wanted_copies=1, path=b"archive/x"), True),
        (b"client", Known(wanted_copies=1, path=b"archive/x", groups=ARCHIVED, holders=frozenset((B, D))), False),
        (b"client", Known(wanted_copies=3, path=b"archive/x", groups=ARCHIVED, holders=frozenset((B, D))), True),
        (b"transfer", Known(wanted_copies=1, groups={b"client": {A, B}}), False),
        (b"transfer", Known(wanted_copies=1, groups={b"client": {A, D}}), True),
        (b"backup", Known(path=None), True),
        (b"incrementalbackup", Known(wanted_copies=1, groups={b"backup": {A}}), False),
        (b"smallarchive", Known(wanted_copies=1), False),
        (b"smallarchive", Known(wanted_copies=1, path=b"x/archive/y"), True),
        (b"archive", Known(wanted_copies=1, groups={b"archive": {A}}), False),
        (b"manual", Known(is_present=False), False),
        (b"public", Known(), True),
        (b"unwanted", Known(), False),
    ],
)
def test_standard_groups_want_what_they_are_for(group: bytes, facts: Known, expected: bool) -> None:
    assert wants(for_repository(b"standard", {group}, {}), facts) is expected
