"""Clearing up after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from annexd.annex import restage, smudge_log
from annexd.annex.ingest import AddAs
from annexd.annex.location_log import Presence
from annexd.annex.recovery import recover
from annexd.annex.smudge_log import Smudged
from annexd.annex.state import AnnexState
from annexd.formats.branch_paths import location_log
from annexd.formats.pointer import parse_pointer, pointer_for
from annexd.system.lock_pool import LOCKS
from annexd.threads.deadline import Deadline
from tests.unit.annex.content_helpers import add, ingest, read, status, top, write
from tests.unit.annex.helpers import OTHER, git, git_annex, key, show

HOLD = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def make(path: bytes, data: bytes = b"") -> bytes:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


def test_a_repository_in_order_is_left_as_it_is(state: AnnexState) -> None:
    assert recover(state) == []


def test_a_journal_that_was_left_is_committed(state: AnnexState, annex_path: Path) -> None:
    state.locations.record(key(1), OTHER, Presence.PRESENT)
    assert len(recover(state)) == 1
    assert OTHER in git(annex_path, "grep", "-h", OTHER.decode(), "git-annex")
    assert recover(state) == []


def test_what_a_killed_command_had_moved_is_recorded(state: AnnexState) -> None:
    directory = state.layout.annexd_dir + b"/unrecorded"
    make(directory + b"/1-0", b"%b %b\0" % (OTHER, bytes(key(1))))
    assert recover(state) == ["recorded where 1 contents are that killed commands had moved"]
    assert state.locations.locations(key(1)) == {OTHER}
    assert os.listdir(directory) == []
    assert recover(state) == []


def test_a_journal_that_is_to_be_kept_is_kept(state: AnnexState, annex_path: Path) -> None:
    git(annex_path, "config", "annex.alwayscommit", "false")
    state.reload_config()
    state.locations.record(key(1), OTHER, Presence.PRESENT)
    assert recover(state) == []
    assert not state.branch.journal_is_empty()


def test_notes_of_transfers_go_unless_their_lock_is_held(state: AnnexState) -> None:
    layout = state.layout
    stale = make(layout.transfer_info(b"download", OTHER, key(1)), b"1s\nf\n")
    stale_lock = make(layout.transfer_lock(b"download", OTHER, key(1)))
    stale_key_lock = make(layout.download_key_lock(key(1)))
    unlocked = make(layout.transfer_info(b"upload", OTHER, key(2)), b"1s\nf\n")
    failed = make(layout.failed_transfer(b"upload", OTHER, key(2)), b"1s\nf\n")
    running = make(layout.transfer_info(b"upload", OTHER, key(3)), b"1s\nf\n")
    running_lock = make(layout.transfer_lock(b"upload", OTHER, key(3)))
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, running_lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    other.stdout.readline()
    try:
        assert len(recover(state)) == 1
    finally:
        other.communicate(b"\n")
    assert not any(os.path.exists(path) for path in (stale, stale_lock, stale_key_lock, unlocked))
    assert all(os.path.exists(path) for path in (failed, running, running_lock))


def test_othertmp_is_emptied_unless_somebody_uses_it(state: AnnexState) -> None:
    left = make(state.layout.othertmp + b"/left")
    with LOCKS.shared(state.layout.lock(b"othertmp.lck"), Deadline(1)):
        recover(state)
        assert os.path.exists(left)
    recover(state)
    assert not os.path.exists(left)


def test_scratch_of_dead_processes_goes_but_what_may_be_a_persons_file_is_kept(
    state: AnnexState, dead_pid: int
) -> None:
    scratch = state.layout.annexd_dir + b"/tmp"
    mine = make(b"%b/%d-0" % (scratch, os.getpid()), b"in use")
    pointer = make(b"%b/%d-1" % (scratch, dead_pid), pointer_for(key(1)))
    empty = make(b"%b/%d-2" % (scratch, dead_pid))
    os.symlink(b"x", b"%b/%d-3" % (scratch, dead_pid))
    precious = make(b"%b/%d-4" % (scratch, dead_pid), b"a fresh write")
    done = recover(state)
    assert os.listdir(scratch) == [os.path.basename(mine)]
    assert not os.path.exists(pointer) and not os.path.exists(empty) and not os.path.exists(precious)
    rescued = state.layout.annexd_dir + b"/rescued"
    (name,) = os.listdir(rescued)
    with open(rescued + b"/" + name, "rb") as file:
        assert file.read() == b"a fresh write"
    assert any("rescued" in line for line in done)


def test_files_that_were_checked_out_as_pointers_get_their_content(state: AnnexState) -> None:
    add(state, {b"f": b"content", b"new\nline": b"other"})
    stored = parse_pointer(git(top(state), "show", ":f") + b"\n")
    assert stored is not None
    write(state, b"f", pointer_for(stored))
    smudge_log.note(state.layout, [Smudged(stored, b"f"), Smudged(key(9), b"gone"), Smudged(stored, b"new\nline")])
    with open(state.layout.lock(b"smudge.log"), "ab") as log:
        log.write(b"nonsense\nA b\n")
    recover(state)
    assert read(state, b"f") == b"content"
    assert smudge_log.pending(state.layout) == []
    assert status(state) == b""


def test_the_index_learns_what_it_could_not_be_told(state: AnnexState, annex_path: Path) -> None:
    add(state, {b"f": b"content", b"g": b"more"})
    for name in ("f", "g"):
        os.utime(annex_path / name, ns=(1, 1))
    write(state, b"g", b"edit")
    stats = {name: os.stat(annex_path / os.fsdecode(name)) for name in (b"f", b"g")}
    restage.note(state.layout, stats)
    assert recover(state) == ["told git's index about 1 files"]
    assert not restage.pending(state.layout)
    changed = git(annex_path, "diff-files", "--name-only").splitlines()
    assert changed == [b"g"]


def test_a_step_that_fails_is_told_and_the_others_are_done(state: AnnexState, annex_path: Path) -> None:
    left = make(state.layout.othertmp + b"/left")
    state.locations.record(key(1), OTHER, Presence.PRESENT)
    blob = git(annex_path, "hash-object", "-w", "--stdin", stdin=b"x").decode()
    (annex_path / ".git/refs/heads/git-annex").write_text(blob + "\n")
    state.reset()
    done = recover(state)
    assert any(line.startswith("could not commit journal") for line in done)
    assert not os.path.exists(left)
    assert not state.branch.journal_is_empty()


def test_hostile_paths_in_the_logs_lead_nowhere(state: AnnexState, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(pointer_for(key(1)))
    make(state.layout.lock(b"restage.log"), b"1 2 3 4:../outside\n1 2 3 4:/etc/passwd\nbad\n")
    smudge_log.note(state.layout, [Smudged(key(1), b"../outside")])
    recover(state)
    assert outside.read_bytes() == pointer_for(key(1))


@pytest.mark.usefixtures("annex_oracle")
def test_git_annex_is_content_with_what_recovery_made(state: AnnexState, annex_path: Path) -> None:
    add(state, {b"f": b"content"})
    stored = ingest(state, b"f", AddAs.UNLOCKED).key
    state.locations.record(stored, state.uuid, Presence.PRESENT)
    recover(state)
    git_annex(annex_path, "fsck")
    assert state.uuid in show(annex_path, location_log(stored).decode())
