"""Files written in the second of the index's last change, which git reads again at each status: also after a restart.

git-annex's filter would choose another key for the one here, as its name has other extensions than when it was added.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.commit import apply_stats
from annexd.annex.index_access import TICK_NS
from annexd.annex.state import AnnexState
from annexd.threads.deadline import Deadline
from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import Side
from tests.support.repositories import make_removable

NAME = "film.jpeg.jpeg"
CONTENT = b"what it shows\n"
LIMIT = 20.0


@pytest.fixture
def side(tmp_path: Path, clean_environment: dict[str, str], annex_oracle: Path, annexd: Annexd) -> Iterator[Side]:
    """An annex with an unlocked file whose key is that of a shorter name, and git-annex as the filter."""
    made = Side(tmp_path / "a", clean_environment)
    made.repo.mkdir()
    made.git("init", "-q")
    annexd(made.repo, "init", "a")
    made.git("config", "annex.addunlocked", "true")
    made.write("film.jpeg", CONTENT)
    annexd(made.repo, "add", "film.jpeg")
    made.git("mv", "film.jpeg", NAME)
    made.git("commit", "-qm", "a film")
    yield made
    made.close()
    make_removable(tmp_path)


def write_in_the_second_of_the_index(side: Side) -> None:
    """The file anew, and within the same second, but not at the same moment, an index that knows it."""
    place = os.fsencode(side.path(NAME))

    def done() -> bool:
        side.write(NAME, CONTENT)
        later = os.lstat(place).st_mtime_ns + 2 * TICK_NS
        eventually(lambda: time.time_ns() > later, 5)
        with AnnexState.open(os.fsencode(side.repo)) as state, state.index.editing(Deadline(5)) as edit:
            entry = edit.index.get(os.fsencode(NAME))
            assert entry is not None
            apply_stats(edit, {os.fsencode(NAME): (entry.oid, os.lstat(place))})
            edit.save()
            return bool(edit.index.young_paths())

    eventually(done, LIMIT, "both in one second")


def status(side: Side) -> bytes:
    return side.git("--no-optional-locks", "status", "--porcelain")


def test_git_sees_no_change_once_the_daemon_is_up_again(side: Side) -> None:
    write_in_the_second_of_the_index(side)
    assert status(side) == b" M film.jpeg.jpeg\n", "without a daemon git takes it for changed"
    side.start()
    eventually(lambda: not status(side), LIMIT, "a clean status")
    assert side.git("rev-list", "--count", "HEAD") == b"1\n", "nothing was committed anew"


def test_nor_when_somebodys_git_had_marked_it_for_looking_into(side: Side) -> None:
    write_in_the_second_of_the_index(side)
    second = time.time() + 1
    eventually(lambda: time.time() > second, 5)
    side.write("note.txt", b"another\n")
    side.git("-c", "annex.largefiles=nothing", "add", "note.txt")
    assert b"size: 0" in side.git("ls-files", "--debug", NAME), "git wrote the index, and marked the file"
    side.start()
    eventually(lambda: not status(side), LIMIT, "a clean status")
    assert side.has(NAME, CONTENT)
