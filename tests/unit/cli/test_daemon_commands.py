"""How the daemon's status and log are shown, and that the commands around it do what they say."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from annexd.cli.commands.log import readable
from annexd.cli.commands.status import NOT_RUNNING, describe
from tests.support.annexd import Annexd
from tests.support.environment import isolated
from tests.support.repositories import make_removable


def test_a_line_of_the_log_is_readable() -> None:
    line = json.dumps({"event": "commit.made", "level": "info", "time": "12:00", "files": 3}).encode() + b"\n"
    assert readable(line) == b"12:00 info commit.made files=3"
    assert readable(b'{"event": "x", "level": "error", "exception": "Traceback..."}') == b"error x\nTraceback..."
    assert readable(b"not json\n") == b"not json"
    assert readable(b'"text"\n') == b'"text"'


def test_a_status_tells_what_is_wrong() -> None:
    status = {
        "pid": 7, "started": 1000.0, "version": "1", "phase": "running", "scan_complete": True, "branch": "main",
        "last_commit": 4000.0, "files_committed": 2, "parked": ["push"],
        "remotes": [{"name": "usb", "available": False, "note": "contents later"}],
        "alerts": [{"severity": "error", "message": "disk full", "hint": "free some"}],
    }  # fmt: skip
    assert list(describe(status, now=4600.0)) == [
        "annexd 1 running, process 7, for 1 hour",
        "  branch main",
        "  last commit 10 minutes ago; 2 files so far",
        "  changes waiting: 0; transfers: 0 queued, 0 waiting for a source, 0 done",
        "  not running: push (failed again and again; see annexd log)",
        "  remote usb: not reachable",
        "    contents later",
        "  error: disk full (free some)",
    ]


@pytest.fixture
def annexd(tmp_path: Path) -> Annexd:
    return Annexd(isolated(tmp_path / "home"))


def test_start_status_restart_and_stop(annexd: Annexd, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    annexd(repo, "init", status=1)
    subprocess.run(["git", "init", "-q"], cwd=repo, env=annexd.env, check=True)
    annexd(repo, "init", "here")
    assert annexd(repo, "status", status=NOT_RUNNING).out == "annexd is not running\n"
    assert annexd(repo, "stop").out == "annexd was not running\n"
    try:
        first = annexd(repo, "start").out
        assert first.startswith("annexd started (process ")
        assert "already running" in annexd(repo, "start", status=1).err
        assert "already running" in annexd(repo, "run", status=1).err
        assert json.loads(annexd(repo, "status", "--json").out)["running"] is True
        assert annexd(repo, "restart").out not in ("", first)
        assert "daemon.started" in annexd(tmp_path, "log", str(repo)).out
    finally:
        assert annexd(repo, "stop", status=None).out == "annexd stopped\n"
    assert annexd(repo, "status", "--json", status=NOT_RUNNING).out == '{"running":false}\n'
    make_removable(repo)


def test_start_tells_why_the_daemon_ended(annexd: Annexd, tmp_path: Path) -> None:
    repo = tmp_path / "bare"
    subprocess.run(["git", "init", "-q", "--bare", str(repo)], env=annexd.env, check=True)
    annexd(repo, "init", "here")
    done = annexd(repo, "start", status=1)
    assert done.err.startswith("annexd: ") and "no work tree" in done.err
