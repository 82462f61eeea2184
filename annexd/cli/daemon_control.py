"""What the commands around the daemon share: finding the repository, starting and stopping."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import IO, Any

from annexd.annex.layout import RepoLayout
from annexd.errors import ConfigError, UserError
from annexd.formats.paths import display, from_text
from annexd.threads.deadline import Deadline

START_SECONDS = 30.0
STOP_SECONDS = 30.0
ANSWER_SECONDS = 5.0


def repository(words: Sequence[str]) -> bytes:
    """The directory that a daemon command is about: the one word it takes, else the current one. Raises UserError."""
    if len(words) > 1:
        raise UserError("name one repository only")
    return os.path.abspath(from_text(words[0])) if words else os.getcwdb()


def layout_at(path: bytes) -> RepoLayout:
    """The paths of the repository at `path`, found without asking what state it is in. Raises RepositoryError."""
    from annexd.annex.config import AnnexConfig
    from annexd.annex.state import layout_of
    from annexd.git.config import GitConfig
    from annexd.git.repository import GitRepository

    repo = GitRepository.discover(path)
    try:
        config = AnnexConfig.load(GitConfig.load(repo))
    except ConfigError:     # a daemon that runs has something to say about it
        config = AnnexConfig()
    return layout_of(repo, config)


def start(path: bytes) -> int:
    """Start the daemon in the background and wait until it has taken its place; its process id.

    Raises UserError with what the daemon said when it ends instead.
    """
    from annexd.assistant.daemon_files import AlreadyRunning, describe_process, running_pid

    layout = layout_at(path)
    there = running_pid(layout)
    if there is not None:
        raise AlreadyRunning(f"{describe_process(there)} is already running here (process {there})")
    os.makedirs(layout.annexd_dir, exist_ok=True)
    with open(layout.annexd_dir + b"/stderr", "w+b") as complaints:
        child = os.fork()
        if child == 0:
            _leave_terminal(complaints.fileno())
            from annexd.assistant import daemon

            raise SystemExit(daemon.run(path, foreground=False))
        _wait_until_it_runs(layout, child, complaints)
    return child


def stop(path: bytes) -> bool:
    """Stop the daemon and wait for its end; False when none ran."""
    from annexd.assistant.daemon_files import stop_daemon

    return stop_daemon(layout_at(path), Deadline(STOP_SECONDS))


def ask_daemon(layout: RepoLayout, request: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the daemon answers over its control socket; None when it does not. Raises UserError when it says no."""
    from annexd.assistant.control import send

    try:
        return send(layout, request, Deadline(ANSWER_SECONDS))
    except (OSError, ValueError):
        return None


def _wait_until_it_runs(layout: RepoLayout, child: int, complaints: IO[bytes]) -> None:
    from annexd.assistant.daemon_files import running_pid
    from annexd.threads.stop_signal import StopSignal

    deadline = Deadline(START_SECONDS)
    pause = StopSignal()        # never set: there is nothing to wait for but the other process' lock
    while running_pid(layout) != child:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            complaints.seek(0)
            said = complaints.read(1 << 16).decode("utf-8", "replace").strip().removeprefix("annexd: ")
            raise UserError(said or f"the daemon ended with status {os.waitstatus_to_exitcode(status)}")
        if deadline.expired():
            raise UserError("the daemon did not start in time", hint=f"see {display(layout.daemon_log)}")
        pause.wait(0.02)


def _leave_terminal(stderr: int) -> None:
    """In the child: what it still has to say to standard error goes to a file, for `start` or for whoever looks."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd, target in ((0, nothing), (1, nothing), (2, stderr)):
        os.dup2(target, fd)
    os.close(nothing)
