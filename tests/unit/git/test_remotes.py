"""Remotes: which there are, and what fetching and pushing tells."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from annexd.errors import RemoteRefused, RemoteUnavailable
from annexd.git.config import GitConfig
from annexd.git.remotes import GitRemote, PushResult, fetch, list_remotes, local_path, parse_push_output, push
from annexd.git.repository import GitRepository
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal
from tests.support.eventually import eventually
from tests.support.repositories import git, make_git_repo


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    path = make_git_repo(tmp_path / "origin")
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    return path


@pytest.fixture
def clone(tmp_path: Path, origin: Path) -> GitRepository:
    git(tmp_path, "clone", "-q", str(origin), "clone")
    return GitRepository.discover(os.fsencode(tmp_path / "clone"))


def top(repo: GitRepository) -> Path:
    return Path(os.fsdecode(repo.top))


def test_remotes_are_listed_with_rewritten_urls(git_repo: Path) -> None:
    git(git_repo, "remote", "add", "plain", "../other")
    git(git_repo, "remote", "add", "short", "gh:me/x")
    git(git_repo, "config", "remote.split.url", "/a")
    git(git_repo, "config", "remote.split.pushurl", "gh:b")
    git(git_repo, "config", "remote.nourl.annex-ignore", "true")
    git(git_repo, "config", "url.ssh://git@host/.insteadOf", "gh:")
    git(git_repo, "config", "url.ssh://push@host/.pushInsteadOf", "gh:")
    remotes = list_remotes(GitConfig.load(GitRepository.discover(os.fsencode(git_repo))))
    assert [remote[:3] for remote in remotes] == [
        ("plain", b"../other", b"../other"),
        ("short", b"ssh://git@host/me/x", b"ssh://push@host/me/x"),
        ("split", b"/a", b"ssh://git@host/b"),
    ]
    assert remotes[0].fetch == (b"+refs/heads/*:refs/remotes/plain/*",)
    shown = git(git_repo, "remote", "-v").decode()
    for remote in remotes[:2]:
        assert f"{remote.name}\t{remote.url.decode()} (fetch)" in shown
        assert f"{remote.name}\t{remote.push_url.decode()} (push)" in shown


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (b"/abs/x", b"/abs/x"),
        (b"../x", b"/top/x"),
        (b"x.git", b"/top/repo/x.git"),
        (b"./host:x", b"/top/repo/host:x"),
        (b"file:///a%20b", b"/a b"),
        (b"host:x", None),
        (b"user@host:/x", None),
        (b"ssh://host/x", None),
        (b"https://host/x", None),
        (b"ext::cmd", None),
    ],
)
def test_local_urls_are_told_from_others(url: bytes, path: bytes | None) -> None:
    assert local_path(url, b"/top/repo") == path


def test_a_remote_knows_its_path(clone: GitRepository, origin: Path) -> None:
    (remote,) = list_remotes(GitConfig.load(clone))
    assert isinstance(remote, GitRemote)
    assert remote.local_path(clone) == os.fsencode(origin)


def test_what_is_fetched_is_there(clone: GitRepository, origin: Path) -> None:
    git(origin, "commit", "-q", "--allow-empty", "-m", "second")
    fetch(clone, "origin")
    tip = git(origin, "rev-parse", "HEAD")
    assert git(top(clone), "rev-parse", "origin/main") == tip
    git(origin, "commit", "-q", "--allow-empty", "-m", "third")
    fetch(clone, "origin", [b"+refs/heads/main:refs/other/main"])
    assert git(top(clone), "rev-parse", "refs/other/main") == git(origin, "rev-parse", "HEAD")


def test_each_pushed_ref_has_its_result(clone: GitRepository, origin: Path) -> None:
    git(origin, "branch", "behind")
    git(origin, "checkout", "-q", "behind")
    git(origin, "commit", "-q", "--allow-empty", "-m", "theirs")
    git(origin, "checkout", "-q", "main")
    git(top(clone), "commit", "-q", "--allow-empty", "-m", "ours")
    results = push(clone, "origin", [b"main", b"main:synced/main", b"main:behind"])
    found = {result.ref: (result.ok, result.rejected) for result in results}
    assert found == {
        b"refs/heads/main": (False, False),
        b"refs/heads/synced/main": (True, False),
        b"refs/heads/behind": (False, True),
    }
    assert "checked out" in next(r.reason for r in results if r.ref == b"refs/heads/main")
    assert push(clone, "origin", [b"+main:behind", b"main:synced/main"])[0].ok


def test_hooks_can_be_left_out_of_a_push(clone: GitRepository) -> None:
    hooks = top(clone) / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-push").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-push").chmod(0o755)
    assert push(clone, "origin", [b"main:a"], run_hooks=False) == [PushResult(b"refs/heads/a", True, "")]
    with pytest.raises(RemoteUnavailable):
        push(clone, "origin", [b"main:b"])


def test_a_remote_that_is_not_there_is_unavailable(clone: GitRepository, origin: Path) -> None:
    origin.rename(origin.with_name("unplugged"))
    with pytest.raises(RemoteUnavailable, match="does not appear"):
        fetch(clone, "origin")
    with pytest.raises(RemoteUnavailable):
        push(clone, "origin", [b"main"])


NAP = b"%d" % (100_000 + os.getpid())  # tells our sleepers from those of tests that run beside these


def slow_remote(clone: GitRepository) -> None:
    git(top(clone), "config", "protocol.ext.allow", "always")
    git(top(clone), "remote", "add", "slow", b"ext::sleep " + NAP)


def sleepers() -> list[int]:
    """Processes that our hanging remote started."""
    found = []
    for pid in os.listdir("/proc"):
        with suppress(OSError):
            if pid.isdigit() and Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"sleep\0" + NAP + b"\0"):
                found.append(int(pid))
    return found


@pytest.mark.timeout(60)
def test_a_hanging_remote_ends_at_the_deadline_with_all_its_processes(clone: GitRepository) -> None:
    slow_remote(clone)
    seen: list[int] = []
    watcher = threading.Thread(target=lambda: seen.extend(eventually(sleepers)))
    watcher.start()
    with pytest.raises(RemoteUnavailable, match="too long"):
        fetch(clone, "slow", deadline=Deadline(1))
    watcher.join()
    assert seen
    eventually(lambda: not sleepers())


@pytest.mark.timeout(60)
def test_a_hanging_remote_ends_when_the_daemon_stops(clone: GitRepository) -> None:
    slow_remote(clone)
    stop = StopSignal()

    def stop_once_it_hangs() -> None:
        eventually(sleepers)
        stop.set()

    watcher = threading.Thread(target=stop_once_it_hangs)
    watcher.start()
    with pytest.raises(RemoteUnavailable, match="stopped"):
        push(clone, "slow", [b"main"], stop=stop)
    watcher.join()
    eventually(lambda: not sleepers())


def test_nobody_is_asked_for_a_password(clone: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "fake-ssh"
    script.write_text('#!/bin/sh\necho "$@" >"$0.args"; echo "me@host: Permission denied (publickey)." >&2; exit 255\n')
    script.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").symlink_to(script)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    git(top(clone), "remote", "add", "far", "ssh://host/x")
    with pytest.raises(RemoteRefused, match="Permission denied"):
        fetch(clone, "far")
    assert "BatchMode=yes" in (tmp_path / "bin/ssh.args").read_text()


def test_the_users_own_ssh_command_is_left_alone(
    clone: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "my-ssh"
    script.write_text('#!/bin/sh\necho "$@" >"$0.args"; exit 255\n')
    script.chmod(0o755)
    git(top(clone), "config", "core.sshCommand", str(script))
    git(top(clone), "remote", "add", "far", "ssh://host/x")
    with pytest.raises(RemoteUnavailable):
        fetch(clone, "far")
    assert "BatchMode" not in (tmp_path / "my-ssh.args").read_text()


def test_an_enclosing_git_command_does_not_redirect_a_fetch(
    clone: GitRepository, git_repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(git_repo / ".git"))
    fetch(clone, "origin")


def test_reading_remotes_does_not_load_gitpython() -> None:
    code = "import sys, annexd.git.remotes; sys.exit('git' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_push_output_is_read() -> None:
    output = (
        b"To /x\n"
        b" \trefs/heads/a:refs/heads/a\t1..2\n"
        b"=\trefs/heads/b:refs/heads/b\t[up to date]\n"
        b"!\trefs/heads/c:refs/heads/c\t[rejected] (fetch first)\n"
        b"+\trefs/heads/d:refs/heads/d\t1...2 (forced update)\n"
        b"-\t:refs/heads/e\t[deleted]\n"
        b"Done\n"
    )
    assert [(result.ref[-1:], result.ok, result.rejected) for result in parse_push_output(output)] == [
        (b"a", True, False), (b"b", True, False), (b"c", False, True), (b"d", True, False), (b"e", True, False)
    ]  # fmt: skip
