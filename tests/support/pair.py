"""Two folders on one machine, each the git remote of the other by path, with a daemon on each that tests may kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from annexd.threads.deadline import Deadline
from tests.support import annexd as programs
from tests.support.eventually import eventually
from tests.support.repositories import git, make_removable

CALM = 2.0              # seconds without a commit, after which what was to be told has been told
SYNC_LIMIT = 30.0       # seconds, generous: the machines that test are busy


class Side:
    """One of the two repositories, and the daemon on it, if it runs."""

    def __init__(self, repo: Path, env: Mapping[str, str]) -> None:
        self.repo = repo
        self.env = dict(env)
        self.running: programs.Daemon | None = None
        self._stack = ExitStack()

    @property
    def output(self) -> Path:
        """What its daemons wrote to the terminal."""
        return self.repo.with_name(self.repo.name + ".daemon-output")

    def start(self, **env: str) -> programs.Daemon:
        """The daemon, ready. `env` is added to its environment."""
        context = programs.daemon(self.repo, env={**self.env, **env}, output=self.output)
        self.running = self._stack.enter_context(context)
        return self.running

    def spawn(self, wrapper: Sequence[str] = (), **env: str) -> programs.Daemon:
        """The daemon, perhaps not ready yet, started through the program `wrapper`; it may be killed in its start."""
        with self.output.open("ab") as sink:
            process = subprocess.Popen(
                [*wrapper, sys.executable, "-m", "annexd", "run"],
                cwd=self.repo, env={**self.env, **env}, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                start_new_session=True,
            )  # fmt: skip
        self.running = programs.Daemon(self.repo, process, self.output)
        self._stack.callback(self.running.kill)
        return self.running

    def kill(self) -> None:
        """kill -9."""
        assert self.running is not None
        self.running.kill()

    def kill_all(self) -> None:
        """kill -9 for a spawned daemon and the git processes that it started."""
        assert self.running is not None
        with suppress(ProcessLookupError):
            os.killpg(self.running.pid, signal.SIGKILL)
        self.running.kill()

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self.running is not None:
            self.running.stop()

    def close(self) -> None:
        """End whatever runs, at the end of a test."""
        if self.running is not None:
            self.running.kill()
        self._stack.close()

    def said(self) -> str:
        """What its daemons wrote to the terminal, without what only tells that all is well."""
        lines = self.output.read_text(errors="backslashreplace").splitlines() if self.output.exists() else []
        dull = ("commit.made", "merge.finished", "config.reloaded", "transfer_scan.finished")
        return "\n".join(line for line in lines if not any(f'"event": "{event}"' in line for event in dull))

    def log(self) -> str:
        """The end of what its daemons wrote."""
        return self.running.log() if self.running is not None else ""

    def write(self, path: str | bytes, data: bytes) -> Path:
        """Write a file, with the directories above it."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def path(self, path: str | bytes) -> Path:
        """A path of the work tree."""
        return self.repo / os.fsdecode(path)

    def has(self, path: str | bytes, data: bytes) -> bool:
        """Whether the file is there with this content."""
        try:
            return self.path(path).read_bytes() == data
        except OSError:
            return False

    def git(self, *args: str | bytes, stdin: bytes = b"") -> bytes:
        """Output of a git command here."""
        return git(self.repo, *args, stdin=stdin)

    def committed(self) -> dict[bytes, str]:
        """Path -> git mode, of HEAD's tree."""
        listing = self.git("ls-tree", "-r", "-z", "HEAD").split(b"\0")[:-1]
        return {path: info[:6].decode() for info, _, path in (line.partition(b"\t") for line in listing)}

    def status(self) -> dict[str, Any]:
        """What `annexd status --json` tells."""
        done = programs.Annexd(self.env)(self.repo, "status", "--json", status=None)
        return json.loads(done.out.splitlines()[-1]) if done.out.strip() else {}

    def alerts(self) -> str:
        """The alerts that are raised now, as text: name, message and hint of each on a line."""
        shown = self.status().get("alerts") or ()
        return "\n".join(f"{alert['name']}: {alert['message']} ({alert.get('hint', '')})" for alert in shown)

    def wait_for_alert(self, *words: str, limit: float = SYNC_LIMIT) -> str:
        """The alerts, as soon as one of them has all the words."""

        def find() -> str:
            alerts = self.alerts()
            wanted = [line for line in alerts.splitlines() if all(word in line for word in words)]
            assert wanted, f"no alert has {words}: {alerts or 'there is none'}"
            return wanted[0]

        return eventually(find, limit, f"an alert with {words}")


class Pair:
    """The two sides."""

    def __init__(self, top: Path, env: Mapping[str, str]) -> None:
        self.a = Side(top / "a", env)
        self.b = Side(top / "b", env)

    def __iter__(self) -> Iterator[Side]:
        return iter((self.a, self.b))

    def start(self) -> None:
        """Both daemons."""
        for side in self:
            side.start()

    def stop(self) -> None:
        """Both daemons, by SIGTERM."""
        for side in self:
            side.stop()

    def assert_syncs(self, name: str, data: bytes | None = None) -> None:
        """A new file goes from a to b: the daemons are alive and well."""
        content = data if data is not None else name.encode() + b" is well\n"
        self.a.write(name, content)
        eventually(lambda: self.b.has(name, content), SYNC_LIMIT, f"{name} at the other side")

    def are_equal(self) -> bool:
        """Whether both branches are at the same commit and nothing is left to commit. AssertionError says what is."""
        heads = [side.git("rev-parse", "HEAD") for side in self]
        assert heads[0] == heads[1], f"HEADs differ: {heads}"
        for side in self:
            left = side.git("status", "--porcelain")
            assert not left, f"git status in {side.repo.name}: {left!r}"
        return True

    def settle(self, limit: float = SYNC_LIMIT) -> None:
        """Wait until both sides are equal."""
        eventually(self.are_equal, Deadline(limit), "both sides in step")


    def rest(self, limit: float = SYNC_LIMIT) -> None:
        """Wait until both sides are equal, locations too, and make no further commit for a moment."""
        deadline = Deadline(limit)
        seen: list[tuple[float, list[bytes]]] = []

        def is_calm() -> bool:
            self.are_equal()
            tips = [side.git("rev-parse", "HEAD", "git-annex") for side in self]
            if tips[0] != tips[1] or not seen or seen[0][1] != tips:
                seen[:] = [(time.monotonic(), tips)]
            return time.monotonic() - seen[0][0] >= CALM

        eventually(is_calm, deadline, "both sides at rest")


@contextmanager
def make_pair(top: Path, env: Mapping[str, str]) -> Iterator[Pair]:
    """Two annexes in `top`, without daemons."""
    program = programs.Annexd(dict(env))
    pair = Pair(top, env)
    for side in pair:
        side.repo.mkdir()
        side.git("init", "-q")
        program(side.repo, "init", side.repo.name)
    pair.a.git("remote", "add", "b", str(pair.b.repo))
    pair.b.git("remote", "add", "a", str(pair.a.repo))
    try:
        yield pair
    finally:
        for side in pair:
            print(f"--- the daemon of {side.repo.name} wrote:\n{side.said()[-8000:]}")     # shown when the test fails
            side.close()
        make_removable(top)


@contextmanager
def paused(daemon: programs.Daemon) -> Iterator[None]:
    """The daemon sleeps while the block runs."""
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        eventually(lambda: _threads_of(daemon.pid) == {"T"}, 5.0, "all threads of the daemon asleep")
        yield
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def _threads_of(pid: int) -> set[str]:
    """The states of its threads. Source: proc(5), /proc/[pid]/stat."""
    tasks = Path(f"/proc/{pid}/task")
    return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks.iterdir()}
