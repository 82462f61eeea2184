"""Matching options as one expression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.cli.matching import Candidate, Term, compile_matching, needs_locations
from annexd.errors import UserError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from tests.support.annexes import make_annex, put
from tests.support.repositories import make_removable

OTHER = UUID(b"bbbbbbbb-1111-4222-8333-444444444444")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "annex") as made:
        yield made
    make_removable(tmp_path)


def matches(state: AnnexState, terms: Sequence[Term], key: Key, path: bytes | None = b"d/f.txt") -> bool:
    predicate = compile_matching(state, terms, lambda _path: 2)
    assert predicate is not None
    return predicate(Candidate(key, path, path, False, lambda: state.locations.locations(key)))


T, F = ("anything", ""), ("nothing", "")
NOT, AND, OR, OPEN, CLOSE = ("not", ""), ("and", ""), ("or", ""), ("(", ""), (")", "")


@pytest.mark.parametrize(
    ("terms", "expect"),
    [
        ([T], True),
        ([F], False),
        ([NOT, F], True),
        ([T, F], False),
        ([T, OR, F], True),
        ([T, OR, F, AND, F], False),        # from left to right, as git-annex has it
        ([F, AND, F, OR, T], True),
        ([T, OR, OPEN, F, AND, F, CLOSE], True),
        ([NOT, OPEN, T, OR, F, CLOSE], False),
        ([NOT, NOT, T], True),
        ([("include", "*.txt")], True),
        ([("include", "*.TXT")], False),
        ([("include", "f.txt")], False),
        ([("exclude", "*.txt")], False),
        ([("largerthan", "4b")], True),
        ([("largerthan", "5b")], False),
        ([("smallerthan", "1kb")], True),
        ([("inbackend", "SHA256E")], True),
        ([("inbackend", "SHA256")], False),
        ([("securehash", "")], True),
        ([("locked", "")], True),
        ([("unlocked", "")], False),
        ([("in", "here")], True),
        ([("in", "other")], False),
        ([("copies", "1")], True),
        ([("copies", "2")], False),
        ([("copies", "semitrusted:1")], True),
        ([("copies", "trusted:1")], False),
        ([("copies", "backup:1")], False),
        ([("lackingcopies", "1")], True),
        ([("lackingcopies", "2")], False),
        ([("metadata", "tag=x")], False),
    ],
    ids=str,
)
def test_an_expression_is_what_its_terms_say(state: AnnexState, terms: list[Term], expect: bool) -> None:
    key = put(state, b"12345")
    state.locations.record(key, state.uuid, Presence.PRESENT)
    state.branch.change(b"uuid.log", lambda old: (old or b"") + OTHER + b" other timestamp=1s\n")
    assert matches(state, terms, key) is expect


@pytest.mark.parametrize(
    "terms", [[NOT], [OR, T], [T, AND], [OPEN, T], [T, CLOSE], [("copies", "x")], [("in", "nobody")]], ids=str
)
def test_what_makes_no_sense_is_refused(state: AnnexState, terms: list[Term]) -> None:
    with pytest.raises(UserError):
        compile_matching(state, terms, lambda _path: 1)


def test_no_terms_are_no_expression(state: AnnexState) -> None:
    assert compile_matching(state, None, lambda _path: 1) is None
    assert not needs_locations(None)
    assert needs_locations([NOT, ("in", "x")])


def test_a_key_without_a_file_matches_no_glob(state: AnnexState) -> None:
    key = put(state, b"12345")
    assert not matches(state, [("include", "*")], key, path=None)
