"""News of locations, written down for many at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.branch import BranchUpdate
from annexd.annex.location_log import LocationLog, Presence
from annexd.annex.state import AnnexState
from annexd.annex.unrecorded import record_left_behind
from annexd.formats.uuid import UUID
from annexd.transfer.record import LocationRecorder
from tests.support.annexes import key_of, make_annex
from tests.support.repositories import git, make_removable

R = UUID(b"11111111-1111-4111-8111-111111111111")
KEYS = [key_of(b"%d" % n) for n in range(100)]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "repo") as made:
        yield made
    make_removable(tmp_path)


def commits(state: AnnexState) -> int:
    return int(git(Path(os.fsdecode(state.repo.top)), "rev-list", "--count", "git-annex"))


def test_many_changes_become_one_commit(state: AnnexState) -> None:
    recorder = LocationRecorder()
    before = commits(state)
    for key in KEYS:
        recorder.add([(key, R, Presence.PRESENT)], state.layout.annex_dir)
    assert len(recorder) == 100
    assert recorder.flush(state.locations) is not None
    assert commits(state) == before + 1
    assert all(R in locations for locations in state.locations.locations_many(KEYS).values())


def test_without_news_nothing_is_written(state: AnnexState) -> None:
    before = commits(state)
    assert LocationRecorder().flush(state.locations) is None
    assert commits(state) == before


def test_the_last_word_counts(state: AnnexState) -> None:
    recorder = LocationRecorder()
    recorder.add([(KEYS[0], R, Presence.PRESENT)])
    recorder.add([(KEYS[0], R, Presence.MISSING)])
    recorder.flush(state.locations)
    assert R not in state.locations.locations(KEYS[0])


def test_nothing_is_lost_when_writing_fails(state: AnnexState) -> None:
    recorder = LocationRecorder()
    recorder.add([(key, R, Presence.PRESENT) for key in KEYS])

    class Failing(LocationLog):
        def __init__(self) -> None:
            pass

        def record_many(self, changes: object, message: bytes | None = None) -> BranchUpdate:
            recorder.add([(KEYS[0], R, Presence.MISSING)])      # comes in meanwhile
            raise OSError(28, "disk full")

    with pytest.raises(OSError, match="disk full"):
        recorder.flush(Failing())
    assert len(recorder) == 100
    recorder.flush(state.locations)
    assert R in state.locations.locations(KEYS[1])
    assert R not in state.locations.locations(KEYS[0]), "what came later is newer"


DEATH = """
import os, sys
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.transfer.record import LocationRecorder
state = AnnexState.open(os.fsencode(sys.argv[1]))
first, second, uuid = Key.parse(sys.argv[2].encode()), Key.parse(sys.argv[3].encode()), sys.argv[4].encode()
recorder = LocationRecorder(state.layout)
recorder.add([(first, uuid, Presence.PRESENT)])
recorder.add([(second, uuid, Presence.PRESENT)])
recorder.add([(second, uuid, Presence.MISSING)])
os._exit(9)
"""


def test_what_was_collected_survives_a_death(state: AnnexState) -> None:
    words = [os.fsdecode(state.repo.top), *(bytes(key).decode() for key in KEYS[:2]), R.decode()]
    subprocess.run([sys.executable, "-c", DEATH, *words], check=False)
    assert record_left_behind(state) == 1
    assert [R in found for found in state.locations.locations_many(KEYS[:2]).values()] == [True, False]


def test_what_was_written_down_is_noted_no_longer(state: AnnexState) -> None:
    recorder = LocationRecorder(state.layout)
    recorder.add([(KEYS[0], R, Presence.PRESENT)])
    assert record_left_behind(state) == 0       # its owner lives, and will do that
    recorder.flush(state.locations)
    assert os.listdir(state.layout.annexd_dir + b"/unrecorded") == []
