"""The brake: a mass deletion stays here until a person says what is to become of it; a mass rename goes out."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.interop.oracle import Oracle
from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair

NAMES = tuple(f"folder-{number % 4}/{number}.txt" for number in range(40))
QUIET = 2.0         # seconds; a push takes a tenth of one


def content(name: str) -> bytes:
    return b"content of " + name.encode() + b"\n"


@pytest.fixture
def braked(pair: Pair) -> Pair:
    """Both daemons, with forty files on either side; the first has a brake."""
    pair.a.git("config", "annexd.brake", "20%")
    pair.start()
    for name in NAMES:
        pair.a.write(name, content(name))
    eventually(lambda: all_there(pair), SYNC_LIMIT, "the files at the other side")
    pair.settle()
    return pair


def all_there(pair: Pair) -> bool:
    return all(pair.b.has(name, content(name)) for name in NAMES)


def stays(pair: Pair, seconds: float = QUIET) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert all_there(pair), "the other side lost files"
        time.sleep(0.1)


def remove_most(pair: Pair) -> None:
    """rm -r of three folders of four; committed here, and told."""
    for number in range(3):
        shutil.rmtree(pair.a.path(f"folder-{number}"))
    told = pair.a.wait_for_alert("brake", "30 deleted")
    assert "annexd accept" in told and "annexd revert" in told
    eventually(lambda: len(pair.a.committed()) == 10, SYNC_LIMIT, "the deletion's commit")


def test_a_mass_deletion_is_held_over_restarts_until_it_is_accepted(braked: Pair, annexd: Annexd) -> None:
    pair = braked
    remove_most(pair)
    pair.a.kill()
    assert "30 deleted" in annexd(pair.a.repo, "status", status=3).out
    refused = annexd(pair.a.repo, "sync", status=1)
    assert "annexd accept" in refused.out + refused.err
    pair.b.stop()
    pair.b.start()                                  # fetches from the first side
    pair.a.start()
    pair.a.write("later.txt", b"later\n")
    pair.a.wait_for_alert("brake")
    pair.b.write("theirs.txt", b"of the other side\n")
    eventually(lambda: pair.a.has("theirs.txt", b"of the other side\n"), SYNC_LIMIT, "what the other side sends")
    stays(pair)
    assert not pair.b.path("later.txt").exists()
    assert "30 deleted" in annexd(pair.a.repo, "accept").out
    eventually(lambda: pair.b.has("later.txt", b"later\n"), SYNC_LIMIT, "what was held")
    eventually(lambda: not pair.b.path(NAMES[0]).exists(), SYNC_LIMIT, "the deletion")
    eventually(lambda: "brake" not in pair.a.alerts(), SYNC_LIMIT, "the alert's end")
    pair.settle()
    assert "nothing is held back" in annexd(pair.a.repo, "accept").out


def test_a_mass_deletion_that_is_reverted_loses_nothing(braked: Pair, annexd: Annexd, oracle: Oracle) -> None:
    pair = braked
    remove_most(pair)
    pair.a.write("later.txt", b"later\n")
    eventually(lambda: "later.txt" in (p.decode() for p in pair.a.committed()), SYNC_LIMIT)
    assert "30 files put back" in annexd(pair.a.repo, "revert").out
    assert all(pair.a.has(name, content(name)) for name in NAMES)
    eventually(lambda: pair.b.has("later.txt", b"later\n"), SYNC_LIMIT, "what was held")
    stays(pair, 0.5)
    eventually(lambda: "brake" not in pair.a.alerts(), SYNC_LIMIT, "the alert's end")
    pair.rest()
    pair.stop()
    oracle.assert_sound(pair.a.repo)
    assert "nothing is held back" in annexd(pair.a.repo, "revert", status=1).err


def test_a_deletion_that_comes_in_pieces_is_judged_as_a_whole(braked: Pair) -> None:
    pair = braked
    for name in NAMES[:20]:
        pair.a.path(name).unlink()
        time.sleep(0.02)        # the daemon commits meanwhile
    pair.a.wait_for_alert("brake", "20 deleted")
    stays(pair)


def test_renaming_everything_is_no_deletion(braked: Pair) -> None:
    pair = braked
    for number in range(4):
        pair.a.path(f"folder-{number}").rename(pair.a.path(f"moved-{number}"))
    moved = [name.replace("folder", "moved") for name in NAMES]
    eventually(
        lambda: all(pair.b.has(new, content(old)) for new, old in zip(moved, NAMES, strict=True)), SYNC_LIMIT
    )
    assert "brake" not in pair.a.alerts()
    pair.settle()


@pytest.mark.slow
def test_a_mass_rewrite_is_held(braked: Pair, annexd: Annexd) -> None:
    """As somebody who encrypts all files and wants money for it would do."""
    pair = braked
    for name in NAMES:
        pair.a.path(name).unlink()
        pair.a.write(name + ".locked", b"encrypted " + content(name))
    pair.a.wait_for_alert("brake")
    stays(pair)
    annexd(pair.a.repo, "revert")
    assert all(pair.a.has(name, content(name)) for name in NAMES)
    eventually(lambda: pair.b.has(NAMES[0] + ".locked", b"encrypted " + content(NAMES[0])), SYNC_LIMIT)
    stays(pair, 0.2)


@pytest.mark.slow
def test_without_the_setting_nothing_is_held(pair: Pair) -> None:
    pair.start()
    for name in NAMES:
        pair.a.write(name, content(name))
    eventually(lambda: all_there(pair), SYNC_LIMIT)
    for number in range(4):
        shutil.rmtree(pair.a.path(f"folder-{number}"))
    eventually(lambda: not any(pair.b.path(name).exists() for name in NAMES), SYNC_LIMIT)
    assert not Path(pair.a.repo / ".git/annex/annexd/brake").exists()
