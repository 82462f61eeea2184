"""Starting, stopping, being told to, being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from annexd.git.index import GitIndex
from tests.support import annexd as programs
from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair

SECOND = 1_000_000_000      # in nanoseconds


@pytest.fixture
def running(pair: Pair) -> Pair:
    """Both sides with their daemons."""
    pair.start()
    return pair


def test_a_second_daemon_is_refused_and_the_first_goes_on(running: Pair) -> None:
    done = Annexd(running.a.env)(running.a.repo, "run", status=1)
    assert "already running" in done.err
    running.assert_syncs("still there")


def test_start_beside_a_running_daemon_is_refused(running: Pair) -> None:
    done = Annexd(running.a.env)(running.a.repo, "start", status=1)
    assert "already running" in done.err


def test_a_git_annex_assistant_keeps_annexd_out(pair: Pair, annex_oracle: Path) -> None:
    subprocess.run([annex_oracle, "assistant"], cwd=pair.a.repo, env=pair.a.env, check=True, capture_output=True)
    try:
        done = Annexd(pair.a.env)(pair.a.repo, "run", status=1)
        assert "git-annex is already running" in done.err
    finally:
        subprocess.run([annex_oracle, "assistant", "--stop"], cwd=pair.a.repo, env=pair.a.env, check=True)


def test_annexd_keeps_a_git_annex_assistant_out(running: Pair, annex_oracle: Path) -> None:
    argv = [annex_oracle, "assistant", "--foreground"]
    done = subprocess.run(argv, cwd=running.a.repo, env=running.a.env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1 and b"already running" in done.stderr + done.stdout


def test_git_annex_can_stop_annexd(running: Pair, annex_oracle: Path) -> None:
    daemon = running.a.running
    assert daemon is not None
    subprocess.run([annex_oracle, "assistant", "--stop"], cwd=running.a.repo, env=running.a.env, check=True)
    assert daemon.process.wait(programs.STOP_LIMIT) == 0


def test_sigterm_ends_it_within_five_seconds_with_what_changed_committed(running: Pair) -> None:
    running.assert_syncs("before")
    for number in range(100):
        running.a.write(f"last/{number}", b"%d" % number)
    began = time.monotonic()
    running.a.stop()
    assert time.monotonic() - began < 5
    assert running.a.running is not None and running.a.running.process.returncode == 0


def test_start_stop_and_status_work_from_the_command_line(pair: Pair) -> None:
    annexd = Annexd(pair.a.env)
    assert annexd(pair.a.repo, "status", status=None).status == 3
    annexd(pair.a.repo, "start")
    try:
        eventually(lambda: pair.a.status().get("phase") == "running", SYNC_LIMIT, "the status of a running daemon")
        names = [remote["name"] for remote in pair.a.status()["remotes"]]
        assert names == ["b"]
    finally:
        annexd(pair.a.repo, "stop")
    assert annexd(pair.a.repo, "status", status=None).status == 3
    assert annexd(pair.a.repo, "stop").status == 0


def test_changes_made_while_it_was_down_are_found(running: Pair) -> None:
    a, b = running
    for name in ("edited", "deleted", "made executable", "renamed"):
        running.assert_syncs(name)
    running.settle()
    a.stop()
    a.write("new", b"new")
    a.write("edited", b"an edit")
    a.path("deleted").unlink()
    a.path("made executable").chmod(0o755)
    a.path("renamed").rename(a.path("has another name"))
    a.start()
    eventually(lambda: b.has("new", b"new") and b.has("edited", b"an edit"), SYNC_LIMIT, "new and edited")
    eventually(lambda: not b.path("deleted").exists() and not b.path("renamed").exists(), SYNC_LIMIT, "the removals")
    eventually(lambda: b.path("made executable").stat().st_mode & 0o100, SYNC_LIMIT, "the mode")
    eventually(lambda: b.path("has another name").exists(), SYNC_LIMIT, "the new name")
    running.settle()


def test_what_arrives_while_it_is_down_is_taken_in_at_the_start(running: Pair) -> None:
    running.assert_syncs("before")
    running.b.stop()
    running.a.write("meanwhile", b"meanwhile")
    eventually(lambda: b"meanwhile" in running.a.committed(), SYNC_LIMIT)
    running.b.start()
    eventually(lambda: running.b.has("meanwhile", b"meanwhile"), SYNC_LIMIT)


def test_a_killed_daemon_starts_again_and_goes_on(running: Pair) -> None:
    running.assert_syncs("before")
    for number in range(50):
        running.a.write(f"load/{number}", os.urandom(2000))
    running.a.kill()
    running.a.start()
    for number in range(50):
        data = running.a.path(f"load/{number}").read_bytes()
        eventually(lambda n=number, d=data: running.b.has(f"load/{n}", d), SYNC_LIMIT, f"file {number}")  # type: ignore[misc]
    running.settle()


def test_sigusr1_writes_all_stacks_and_queue_lengths(running: Pair) -> None:
    daemon = running.a.running
    assert daemon is not None
    daemon.process.send_signal(signal.SIGUSR1)
    log = eventually(lambda: "daemon.dumped" in daemon.log() and daemon.log(), SYNC_LIMIT, "the dump")
    assert "transfers_queued" in str(log) and "committer.py" in str(log)


def test_a_remote_that_comes_back_gets_what_it_missed(running: Pair) -> None:
    a, b = running
    running.assert_syncs("before")
    b.stop()
    away = b.repo.with_name("away")
    b.repo.rename(away)
    a.write("missed", b"missed")
    eventually(lambda: b"missed" in a.committed(), SYNC_LIMIT)
    eventually(lambda: a.status()["remotes"][0]["available"] is False, SYNC_LIMIT, "the remote being away")
    away.rename(b.repo)
    b.start()
    eventually(lambda: b.has("missed", b"missed"), SYNC_LIMIT, "what was missed")


def test_it_refuses_a_bare_repository(tmp_path: Path, annexd: Annexd) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "bare")], check=True)
    annexd(tmp_path / "bare", "init", "bare")
    done = annexd(tmp_path / "bare", "run", status=1)
    assert "bare" in done.err


def test_a_bare_remote_gets_branch_and_contents(pair: Pair, annexd: Annexd) -> None:
    bare = pair.a.repo.parent / "bare"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    annexd(bare, "init", "hub")
    for side in pair:
        for remote in side.git("remote").decode().split():
            side.git("remote", "remove", remote)
        side.git("remote", "add", "hub", str(bare))
    pair.a.start()
    pair.a.write("through the hub", b"by way of a bare repository")
    branch = pair.a.git("symbolic-ref", "HEAD").strip().decode()
    eventually(lambda: pair.a.git("ls-remote", str(bare), branch), SYNC_LIMIT, "the branch at the hub")
    pair.b.start()
    eventually(lambda: pair.b.has("through the hub", b"by way of a bare repository"), SYNC_LIMIT, "the content")


def test_what_a_person_staged_while_nobody_watched_is_committed_and_links_lead_to_their_content(pair: Pair) -> None:
    pair.a.git("config", "annex.addunlocked", "false")
    pair.start()
    pair.a.write("far/away/locked", b"content of a locked file")
    pair.a.write("removed", b"something else")
    eventually(lambda: pair.b.has("far/away/locked", b"content of a locked file"), SYNC_LIMIT)
    eventually(lambda: pair.b.has("removed", b"something else"), SYNC_LIMIT)
    pair.settle()
    pair.a.stop()
    pair.a.git("mv", "far/away/locked", "near")
    pair.a.git("rm", "-q", "removed")
    assert not pair.a.path("near").exists(), "git takes the link along as it is"
    pair.a.start()
    for side in pair:
        eventually(lambda side=side: side.has("near", b"content of a locked file"), SYNC_LIMIT)  # type: ignore[misc]
        eventually(lambda side=side: not side.path("removed").exists(), SYNC_LIMIT)  # type: ignore[misc]
    pair.settle()
    assert pair.a.git("status", "--porcelain") == b""


def test_an_index_as_young_as_its_files_is_settled_by_the_next_daemon(pair: Pair) -> None:
    """Else git passes these files to the filter at each status, where git-annex may choose other keys for them."""
    pair.a.start()
    pair.a.write("file", b"content")
    eventually(lambda: b"file" in pair.a.committed(), SYNC_LIMIT)
    pair.a.stop()
    index, written = pair.a.path(".git/index"), pair.a.path("file").lstat().st_mtime_ns
    later = written - written % SECOND + SECOND - 1
    os.utime(index, ns=(later, later))
    assert GitIndex.read(os.fsencode(index)).young_paths() == [b"file"]
    pair.a.start()
    eventually(lambda: not GitIndex.read(os.fsencode(index)).young_paths(), SYNC_LIMIT, "a settled index")
