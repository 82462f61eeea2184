"""A person pauses, resumes and cancels the daemon's transfers: of files, of a remote, or all."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.support.annexd import Annexd, Done
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair

SIZE = 2_000_000    # bytes; 40 s at the limit


def annexd(pair: Pair, *args: str, status: int = 0) -> Done:
    """A command in `a`."""
    return Annexd(dict(pair.a.env))(pair.a.repo, *args, status=status)


def now(pair: Pair) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(annexd(pair, "status", "--json").out)["now"]
    return found


@pytest.fixture
def slow(pair: Pair) -> Pair:
    """`one` and `two` are to go to b, which fetches nothing itself, one at a time and slowly."""
    pair.a.git("config", "annex.bwlimit", "50kB")
    pair.a.git("config", "annex.jobs", "1")
    pair.a.start()
    for name in ("one", "two"):
        pair.a.write(name, os.urandom(SIZE))
    eventually(lambda: len(now(pair)["running"]) == len(now(pair)["queue"]) == 1, SYNC_LIMIT, "one of them at work")
    return pair


def running(pair: Pair) -> list[str]:
    return [item["file"] for item in now(pair)["running"]]


def at_full_speed(pair: Pair) -> None:
    pair.a.git("config", "--unset", "annex.bwlimit")


def has_content(pair: Pair, name: str) -> bool:
    """Whether b has it."""
    (there,) = json.loads(annexd(pair, "why", "--json", name, "b").out)["where"]
    return bool(there["has_it"])


def test_a_paused_file_makes_room_for_the_next_and_goes_on_where_it_was(slow: Pair) -> None:
    (first,) = running(slow)
    (second,) = {"one", "two"} - {first}
    assert annexd(slow, "pause", first).out == f"pause {first} ok\n"
    eventually(lambda: running(slow) == [second], SYNC_LIMIT, "the other one at work")
    status = annexd(slow, "status").out
    assert f"{first} to b: paused by hand (annexd resume FILE)" in status
    at_full_speed(slow)
    eventually(lambda: has_content(slow, second), SYNC_LIMIT, "the other one there")
    assert not has_content(slow, first)
    annexd(slow, "resume", first)
    eventually(lambda: has_content(slow, first), SYNC_LIMIT, "the paused one there")
    assert "nothing of it is paused" in annexd(slow, "resume", first, status=1).err


@pytest.mark.parametrize("which", [(), ("--remote", "b")], ids=["all", "a remote"])
def test_all_can_be_paused_and_resumed(slow: Pair, which: tuple[str, ...]) -> None:
    annexd(slow, "pause", *which)
    at_full_speed(slow)
    eventually(lambda: not running(slow), SYNC_LIMIT, "nothing at work")
    assert "paused (annexd resume" in annexd(slow, "why", "one", "b").out.replace("\n    ", " (")
    annexd(slow, "resume", *which)
    eventually(lambda: has_content(slow, "one") and has_content(slow, "two"), SYNC_LIMIT, "both there")


def test_what_is_cancelled_is_given_up_and_the_rest_goes_on(slow: Pair) -> None:
    (first,) = running(slow)
    (second,) = {"one", "two"} - {first}
    annexd(slow, "cancel", first, "--remote", "b")
    at_full_speed(slow)
    eventually(lambda: has_content(slow, second), SYNC_LIMIT, "the other one there")
    assert not has_content(slow, first)
    said = annexd(slow, "cancel", first, status=1)
    assert "nothing of it is being moved" in said.err and "annexd why FILE" in said.err


def test_bad_words_are_told(pair: Pair) -> None:
    assert "annexd is not running here" in annexd(pair, "pause", status=1).err
    pair.a.start()
    assert "there is no remote nobody" in annexd(pair, "pause", "--remote", "nobody", status=1).err
    assert "did not match any file" in annexd(pair, "cancel", "no such file", status=1).err
