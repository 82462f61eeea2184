"""Running annexd as a person does: as a program."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from annexd.threads.deadline import Deadline
from tests.support.eventually import eventually

START_LIMIT = 30.0      # seconds, generous as machines that test are often busy
STOP_LIMIT = 15.0
SHOWN = 20_000          # characters of a log that a failure shows


@dataclass(frozen=True)
class Done:
    """What a finished command left."""

    status: int
    out: str
    err: str


@dataclass
class Annexd:
    """Calls the program; `env` is what it sees."""

    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def __call__(self, repo: Path, *args: str | bytes, status: int | None = 0, stdin: bytes = b"") -> Done:
        """annexd(repo, "get", "file"); fails unless the exit status is `status` (None: any)."""
        done = subprocess.run(
            [sys.executable, "-m", "annexd", *args],
            cwd=repo,
            env=self.env,
            input=stdin,
            capture_output=True,
            timeout=120,
        )
        out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
        shown = " ".join(os.fsdecode(arg) for arg in args)
        assert status is None or done.returncode == status, f"annexd {shown}: {done.returncode}\n{out}\n{err}"
        return Done(done.returncode, out, err)


class Daemon:
    """A running `annexd run`."""

    def __init__(self, repo: Path, process: subprocess.Popen[bytes], output: Path) -> None:
        self.repo = repo
        self.process = process
        self.output = output

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def log(self) -> str:
        """What it wrote so far: to its output, and into its log file."""
        parts = [self.output.read_text(errors="backslashreplace")]
        for file in (self.repo / ".git/annex/daemon.log", self.repo / "annex/daemon.log"):
            if file.exists():
                parts.append(file.read_text(errors="backslashreplace"))
        return "\n".join(parts)[-SHOWN:]

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Ask it to end, and wait; the exit status. One that does not end in time is killed, and the test fails."""
        if self.is_running():
            self.process.send_signal(with_signal)
        try:
            return self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)        # its stacks, for the log
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            raise AssertionError(f"the daemon did not end within {STOP_LIMIT} s\n{self.log()}") from None

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def daemon(
    repo: Path, *args: str, env: Mapping[str, str] | None = None, output: Path | None = None
) -> Iterator[Daemon]:
    """`annexd run` on `repo` for the time of the block: ready when the block begins, ended by SIGTERM after it.

    When the block fails, what the daemon wrote is added to the failure.
    """
    where = output or repo.with_name(repo.name + ".daemon-output")
    with _notify_socket() as (name, ready), open(where, "ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "annexd", "run", *args],
            cwd=repo,
            env={**(os.environ if env is None else env), "NOTIFY_SOCKET": name},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
        running = Daemon(repo, process, where)
        try:
            eventually(lambda: _is_ready(running, ready), Deadline(START_LIMIT), "the daemon's start")
            yield running
            running.stop()
        except BaseException as error:
            error.add_note(f"--- the daemon of {repo} wrote:\n{running.log()}")
            raise
        finally:
            running.kill()


@contextmanager
def _notify_socket() -> Iterator[tuple[str, socket.socket]]:
    """Where a service of systemd tells that it is ready."""
    name = f"annexd-test-{os.getpid()}-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.setblocking(False)
        yield "@" + name, listener


def _is_ready(running: Daemon, ready: socket.socket) -> bool:
    assert running.is_running(), f"the daemon ended with status {running.process.returncode}"
    try:
        return b"READY=1" in ready.recv(4096).splitlines()
    except BlockingIOError:
        return False
