"""Preferred content decides what is moved by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.transfer.wanted import PreferredContent
from tests.support.annexes import key_of, make_annex, put
from tests.support.repositories import make_removable

R, S, T = (UUID(b"%d1111111-1111-4111-8111-111111111111" % n) for n in (1, 2, 3))
KEY = key_of(b"content", b".jpg")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "repo") as made:
        yield made
    make_removable(tmp_path)


def set_log(state: AnnexState, name: bytes, uuid: UUID, value: bytes) -> None:
    line = uuid + b" " + value + b" timestamp=1700000000s\n"
    state.branch.change(name, lambda old: (old or b"") + line)


def prefer(state: AnnexState, uuid: UUID, expression: bytes) -> None:
    set_log(state, b"preferred-content.log", uuid, expression)


def wants(state: AnnexState, uuid: UUID, file: bytes = b"dir/photo.jpg", key: Key = KEY) -> bool:
    return PreferredContent()(state).wants(uuid, key, file)


def test_without_an_expression_everything_is_wanted(state: AnnexState) -> None:
    assert wants(state, R)
    prefer(state, S, b"nothing")
    assert wants(state, R)
    assert not wants(state, S)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (b"include=*.jpg", True),
        (b"include=*.txt", False),
        (b"exclude=dir/*", False),
        (b"largerthan=5b", True),
        (b"largerthan=1kb", False),
        (b"copies=1", False),
        (b"not copies=1", True),
        (b"present", False),
        (b"inbackend=SHA256E and securehash", True),
        (b"this is from the future", False),
        (b"lackingcopies=1", True),
    ],
)
def test_expressions_decide(state: AnnexState, expression: bytes, expected: bool) -> None:
    prefer(state, R, expression)
    assert wants(state, R) is expected


def test_copies_and_groups_are_counted_by_the_location_log(state: AnnexState) -> None:
    prefer(state, R, b"not copies=archive:1")
    set_log(state, b"group.log", S, b"archive")
    assert wants(state, R)
    state.locations.record_many([(KEY, T, Presence.PRESENT)])
    assert wants(state, R)
    state.locations.record_many([(KEY, S, Presence.PRESENT)])
    assert not wants(state, R)
    set_log(state, b"trust.log", S, b"X")
    assert wants(state, R), "what a dead repository has does not count"


def test_what_is_required_is_wanted_too(state: AnnexState) -> None:
    prefer(state, R, b"nothing")
    assert not wants(state, R)
    set_log(state, b"required-content.log", R, b"include=*.jpg")
    assert wants(state, R)
    assert not wants(state, R, b"x.txt")


def test_standard_groups_are_filled_in(state: AnnexState) -> None:
    prefer(state, R, b"standard")
    set_log(state, b"group.log", R, b"client")
    assert wants(state, R)
    prefer(state, S, b"standard")
    set_log(state, b"group.log", S, b"unwanted")
    assert not wants(state, S)


def test_presence_here_is_what_is_on_disk(state: AnnexState) -> None:
    prefer(state, state.uuid, b"present")
    assert not wants(state, state.uuid)
    key = put(state, b"other")
    assert wants(state, state.uuid, key=key)


def test_changed_expressions_count_at_once(state: AnnexState) -> None:
    preferred = PreferredContent()
    assert preferred(state).wants(R, KEY, b"f")
    prefer(state, R, b"nothing")
    assert not preferred(state).wants(R, KEY, b"f")
