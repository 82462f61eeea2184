"""The journal and its lock."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from annexd.annex.journal import Journal
from annexd.annex.layout import RepoLayout
from annexd.errors import LockTimeout, UnsafePath
from annexd.threads.deadline import Deadline

LOCKED_BY_OTHER = "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"


@pytest.fixture
def layout(tmp_path: Path) -> RepoLayout:
    (tmp_path / "annex").mkdir()
    path = os.fsencode(tmp_path)
    return RepoLayout(path, path, None, True)


def test_what_was_written_is_read_and_removed_by_its_path(layout: RepoLayout) -> None:
    journal = Journal(layout)
    assert journal.is_empty() and journal.pending() == []
    with journal.locked() as witness:
        journal.write(witness, b"aaa/b_b/KEY.log", b"x\n")
        journal.write(witness, b"uuid.log", b"")
        assert sorted(journal.pending(witness)) == [b"aaa/b_b/KEY.log", b"uuid.log"]
        assert journal.staged(witness) == {b"aaa/b_b/KEY.log": b"x\n", b"uuid.log": b""}
    assert os.listdir(layout.journal_dir) and not os.listdir(layout.othertmp)
    assert journal.read(b"aaa/b_b/KEY.log") == b"x\n"
    assert journal.read(b"uuid.log") == b""
    assert journal.read(b"none.log") is None
    with journal.locked() as witness:
        journal.remove(witness, [b"aaa/b_b/KEY.log", b"none.log"])
    assert journal.pending() == [b"uuid.log"]


def test_private_files_are_kept_apart(layout: RepoLayout) -> None:
    journal = Journal(layout)
    assert not journal.has_private()
    with journal.locked() as witness:
        journal.write_private(witness, b"uuid.log", b"p\n")
    assert journal.has_private()
    assert journal.read(b"uuid.log") is None
    assert journal.read_private(b"uuid.log") == b"p\n"
    assert journal.is_empty()


def test_a_stamp_changes_with_each_write(layout: RepoLayout) -> None:
    journal = Journal(layout)
    stamps = [journal.stamp(b"x.log")]
    for data in (b"1", b"2", b"3"):
        with journal.locked() as witness:
            journal.write(witness, b"x.log", data)
            stamps.append(journal.stamp(b"x.log"))
    assert stamps[0] is None
    assert all(one != two for one, two in itertools.pairwise(stamps))


def test_writing_needs_the_lock_to_be_held_still(layout: RepoLayout) -> None:
    journal = Journal(layout)
    with journal.locked() as witness:
        pass
    with pytest.raises(AssertionError):
        journal.write(witness, b"x.log", b"x")


@pytest.mark.parametrize("path", [b"../x", b"/etc/passwd", b".git/config", b"a//b", b""])
def test_a_path_that_no_branch_can_hold_is_refused(layout: RepoLayout, path: bytes) -> None:
    journal = Journal(layout)
    with journal.locked() as witness, pytest.raises(UnsafePath):
        journal.write(witness, path, b"x")


def test_the_lock_excludes_other_processes(layout: RepoLayout) -> None:
    lock = layout.lock(b"journal.lck")
    other = subprocess.Popen(
        [sys.executable, "-c", LOCKED_BY_OTHER, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdin is not None
    other.stdout.readline()
    with pytest.raises(LockTimeout), Journal(layout).locked(Deadline(0.02)):
        pass
    other.communicate(b"\n")
    with Journal(layout).locked(Deadline(5)):
        pass
