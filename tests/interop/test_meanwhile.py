"""annexd runs, and git-annex works at the same time: in the same repository, or at the other end of the remote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.interop.conftest import Annexd
from tests.interop.oracle import Oracle
from tests.interop.sample import make_removable

DEADLINE = 60.0


@contextmanager
def running(argv: list[str], repo: Path, env: dict[str, str], log: Path) -> Iterator[None]:
    """A daemon in the foreground, ended by SIGTERM; its output is shown when the test fails."""
    with log.open("ab") as out:
        process = subprocess.Popen(argv, cwd=repo, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        print(f"--- {' '.join(argv[-2:])} in {repo}\n{log.read_text(errors='replace')[-6000:]}")


def eventually(condition: Callable[[], bool], what: str, seconds: float = DEADLINE) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def has(path: Path, content: bytes) -> Callable[[], bool]:
    def check() -> bool:
        try:
            return path.read_bytes() == content
        except OSError:
            return False

    return check


class Pair:
    """Two repositories by path, each the other's remote; annexd runs in `ours`."""

    def __init__(self, top: Path, oracle: Oracle, annexd_cli: Annexd) -> None:
        self.ours, self.theirs, self.oracle, self.top = top / "ours", top / "theirs", oracle, top
        for repo in (self.ours, self.theirs):
            repo.mkdir()
            oracle.git(repo, "init", "-q")
        annexd_cli(self.ours, "init", "ours")
        oracle.annex(self.theirs, "init", "theirs")
        oracle.git(self.ours, "remote", "add", "theirs", str(self.theirs))
        oracle.git(self.theirs, "remote", "add", "ours", str(self.ours))

    def annexd(self, repo: Path) -> AbstractContextManager[None]:
        command = [sys.executable, "-m", "annexd", "run"]
        return running(command, repo, self.oracle.env, self.top / f"{repo.name}.annexd.log")

    def assistant(self, repo: Path) -> AbstractContextManager[None]:
        command = ["git-annex", "assistant", "--foreground", "--startdelay=0"]
        return running(command, repo, self.oracle.env, self.top / f"{repo.name}.assistant.log")


@pytest.fixture
def pair(tmp_path: Path, oracle: Oracle, annexd_cli: Annexd) -> Iterator[Pair]:
    yield Pair(tmp_path, oracle, annexd_cli)
    for name in ("ours", "theirs"):
        make_removable(tmp_path / name)


def test_an_assistant_at_the_other_end_syncs_both_ways(pair: Pair) -> None:
    with ExitStack() as stack:
        stack.enter_context(pair.annexd(pair.ours))
        (pair.ours / "seed.txt").write_bytes(b"seed\n")
        eventually(lambda: "synced/master" in pair.oracle.git(pair.theirs, "branch", "-a"), "the first push arrived")
        stack.enter_context(pair.assistant(pair.theirs))
        eventually(lambda: os.path.lexists(pair.theirs / "seed.txt"), "the assistant merged the first push")
        (pair.theirs / "from them.txt").write_bytes(b"from them\n")
        eventually(has(pair.ours / "from them.txt", b"from them\n"), "a file of the assistant's arrives with content")
        for i in range(20):
            (pair.ours / f"from-us-{i}.txt").write_bytes(b"from us %d\n" % i)
        key = lambda i: pair.oracle.annex(pair.ours, "lookupkey", f"from-us-{i}.txt", status=None).strip()  # noqa: E731

        def all_there() -> bool:
            return all(
                key(i) and pair.oracle.annex(pair.theirs, "contentlocation", key(i), status=None).strip()
                for i in range(20)
            )

        eventually(all_there, "our contents are in the assistant's annex")
        (pair.theirs / "from them.txt").unlink()
        eventually(lambda: not (pair.ours / "from them.txt").exists(), "a removal of the assistant's arrives")
    pair.oracle.assert_sound(pair.ours)


def test_git_annex_commands_run_in_the_repository_while_annexd_watches_it(pair: Pair, annexd_cli: Annexd) -> None:
    annexd_cli(pair.theirs, "version")
    with ExitStack() as stack:
        for repo in (pair.ours, pair.theirs):
            stack.enter_context(pair.annexd(repo))
        (pair.ours / "one.txt").write_bytes(b"one\n")
        eventually(has(pair.theirs / "one.txt", b"one\n"), "annexd syncs")
        (pair.ours / "two.txt").write_bytes(b"two\n")
        pair.oracle.annex(pair.ours, "add", "two.txt", status=None)
        eventually(has(pair.theirs / "two.txt", b"two\n"), "a file that git-annex added")
        pair.oracle.annex(pair.ours, "lock", "one.txt")
        eventually(lambda: (pair.theirs / "one.txt").is_symlink(), "git-annex lock arrives")
        pair.oracle.annex(pair.ours, "unlock", "one.txt")
        eventually(lambda: not (pair.theirs / "one.txt").is_symlink(), "git-annex unlock arrives")
        eventually(has(pair.theirs / "one.txt", b"one\n"), "with content")
        pair.oracle.annex(pair.ours, "metadata", "one.txt", "-s", "tag=red")
        eventually(
            lambda: "red" in pair.oracle.annex(pair.theirs, "metadata", "one.txt", status=None), "metadata arrives"
        )
        pair.oracle.git(pair.ours, "mv", "two.txt", "renamed.txt")
        eventually(has(pair.theirs / "renamed.txt", b"two\n"), "git mv arrives")
        eventually(lambda: not (pair.theirs / "two.txt").exists(), "and the old name goes")
        eventually(lambda: pair.oracle.git(pair.ours, "status", "--porcelain") == "", "our tree is committed")
        eventually(lambda: pair.oracle.git(pair.theirs, "status", "--porcelain") == "", "their tree is committed")
    for repo in (pair.ours, pair.theirs):
        pair.oracle.assert_sound(repo)


def test_annexd_and_the_assistant_refuse_to_run_side_by_side(pair: Pair, annexd_cli: Annexd) -> None:
    with ExitStack() as stack:
        stack.enter_context(pair.assistant(pair.theirs))
        pid_file = pair.theirs / ".git/annex/daemon.pid"
        eventually(pid_file.exists, "the assistant runs")
        annexd_cli(pair.theirs, "run", status=1)
        stack.enter_context(pair.annexd(pair.ours))
        eventually((pair.ours / ".git/annex/daemon.pid").exists, "annexd runs")
        pair.oracle.annex(pair.ours, "assistant", status=1)
        annexd_cli(pair.ours, "run", status=1)
