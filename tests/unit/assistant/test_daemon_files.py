"""The daemon's pid file and lock, as another process sees them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.layout import RepoLayout
from annexd.assistant import daemon_files
from annexd.assistant.daemon_files import AlreadyRunning, PeerStatus
from annexd.threads.deadline import Deadline

HOLDER = """
import fcntl, os, sys, time
f = open(sys.argv[1], "w")
fcntl.lockf(f, fcntl.LOCK_EX)
f.write(str(os.getpid())); f.flush()
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def layout(tmp_path: Path) -> RepoLayout:
    git_dir = os.fsencode(tmp_path / ".git")
    os.makedirs(git_dir + b"/annex")
    return RepoLayout(git_dir, git_dir, os.fsencode(tmp_path), is_bare=False)


@pytest.fixture
def other_daemon(layout: RepoLayout) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", HOLDER, os.fsdecode(layout.daemon_pid)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"locked\n"
        yield process
        process.kill()


def test_the_pid_file_holds_the_pid_without_newline(layout: RepoLayout) -> None:
    with daemon_files.take_over(layout):
        assert Path(os.fsdecode(layout.daemon_pid)).read_bytes() == b"%d" % os.getpid()
        assert daemon_files.running_pid(layout) == os.getpid()
    assert daemon_files.running_pid(layout) is None


def test_a_pid_file_that_nobody_locks_is_taken_over(layout: RepoLayout) -> None:
    Path(os.fsdecode(layout.daemon_pid)).write_bytes(b"123456789")
    with daemon_files.take_over(layout):
        assert Path(os.fsdecode(layout.daemon_pid)).read_bytes() == b"%d" % os.getpid()


def test_a_second_daemon_is_refused(layout: RepoLayout, other_daemon: subprocess.Popen[bytes]) -> None:
    with pytest.raises(AlreadyRunning, match=f"process {other_daemon.pid}"):
        daemon_files.take_over(layout)


def test_stopping_ends_the_process_that_holds_the_lock(
    layout: RepoLayout, other_daemon: subprocess.Popen[bytes]
) -> None:
    assert daemon_files.stop_daemon(layout, Deadline(10))
    assert other_daemon.wait(10) == -signal.SIGTERM


def test_stopping_without_a_daemon_does_nothing(layout: RepoLayout) -> None:
    assert not daemon_files.stop_daemon(layout, Deadline(1))


def test_the_status_comes_back_as_it_was_written(layout: RepoLayout) -> None:
    daemon_files.write_status(layout, b'{"phase": "running"}')
    assert daemon_files.read_status(layout) == {"phase": "running"}


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"\xff"])
def test_an_unreadable_status_counts_as_none(layout: RepoLayout, junk: bytes) -> None:
    daemon_files.write_status(layout, junk)
    assert daemon_files.read_status(layout) is None


def test_the_peer_status_has_git_annexs_form() -> None:
    assert daemon_files.format_peer_status(PeerStatus(1795189852.5, scan_complete=False)) == (
        b"lastRunning:1795189852.500000000s\nscanComplete:False\nsanityCheckRunning:False\nlastSanityCheck:\n"
    )
