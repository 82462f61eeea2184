"""The files by which a daemon is known: its pid and lock, its status, and how others stop it.

Source: git-annex, `daemon.pid` (decimal, no newline, locked by the daemon for life), `daemon.status`. Taking the same
lock keeps annexd and git-annex's assistant apart; `git annex assistant --stop` sends SIGTERM to the pid in the file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from annexd.annex.layout import RepoLayout
from annexd.errors import UserError
from annexd.formats.paths import display
from annexd.system.files import write_atomically
from annexd.system.lock_pool import LOCKS, Hold
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal

STATUS_LIMIT = 4 << 20      # bytes of a status file that we are ready to read


class AlreadyRunning(UserError):
    """A daemon, annexd's or git-annex's, works on the repository."""


def take_over(layout: RepoLayout) -> Hold:
    """Become the daemon of this repository until the hold is released or the process ends.

    Raises AlreadyRunning when there is one, ours or a git-annex assistant. A file left by a dead daemon is taken over.
    """
    os.makedirs(layout.annex_dir, exist_ok=True)
    hold = LOCKS.try_exclusive(layout.daemon_pid, mode=0o644)
    if hold is None:
        pid = LOCKS.holder_pid(layout.daemon_pid)
        kind = describe_process(pid) if pid else "another daemon"
        raise AlreadyRunning(
            f"{kind} is already running on {display(layout.work_tree or layout.git_dir)}"
            + (f" (process {pid})" if pid else ""),
            hint="stop it first: annexd stop, or git annex assistant --stop",
        )
    os.ftruncate(hold.fd, 0)
    os.pwrite(hold.fd, b"%d" % os.getpid(), 0)
    return hold


def running_pid(layout: RepoLayout) -> int | None:
    """The process that is this repository's daemon now, None when there is none."""
    return LOCKS.holder_pid(layout.daemon_pid)


def describe_process(pid: int) -> str:
    """"annexd", "git-annex" or what else that process is, for a message."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(4096)
        for name in (b"git-annex", b"annexd"):
            if name in command:
                return name.decode()
    return "another daemon"


def stop_daemon(layout: RepoLayout, deadline: Deadline) -> bool:
    """Ask the daemon to end and wait for it; False when none ran. Raises UserError when it does not end in time."""
    pid = running_pid(layout)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    pause = StopSignal()        # never set: another process' end cannot be waited for, only looked for
    while running_pid(layout) == pid:
        if deadline.expired():
            raise UserError(f"the daemon (process {pid}) did not end in time", hint=f"kill -9 {pid} ends it for sure")
        pause.wait(deadline.limit(0.02))
    return True


def status_json(layout: RepoLayout) -> bytes:
    """Where annexd's status is kept for `annexd status`."""
    return layout.annexd_dir + b"/status.json"


def read_status(layout: RepoLayout) -> dict[str, Any] | None:
    """What the daemon last wrote of itself; None when there is nothing readable."""
    try:
        with open(status_json(layout), "rb") as file:
            found = json.loads(file.read(STATUS_LIMIT))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_status(layout: RepoLayout, data: bytes) -> None:
    """Replace the status file. OSError, also when the repository is gone: nothing is made in its place then."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(layout.annexd_dir)
    write_atomically(status_json(layout), data, mode=0o644)


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What git-annex's own status file tells."""

    last_running: float | None      # seconds since the epoch
    scan_complete: bool


def format_peer_status(status: PeerStatus) -> bytes:
    """The content of `daemon.status`. Source: git-annex, daemon status file."""
    running = b"" if status.last_running is None else b"%.9fs" % status.last_running
    complete = b"True" if status.scan_complete else b"False"
    return b"lastRunning:%b\nscanComplete:%b\nsanityCheckRunning:False\nlastSanityCheck:\n" % (running, complete)


def write_peer_status(layout: RepoLayout, *, scan_complete: bool) -> None:
    """Tell git-annex's tools that a daemon ran until now. OSError."""
    data = format_peer_status(PeerStatus(time.time(), scan_complete))
    write_atomically(layout.daemon_status, data, mode=0o644, temp_dir=layout.annex_dir)
