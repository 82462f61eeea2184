"""annex.bwlimit over time: within five percent over ten seconds, for commands and for the daemon."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import Pair

pytestmark = pytest.mark.slow

RATE = 1_000_000
SECONDS = 10.0


def bytes_here(pair: Pair) -> int:
    """What has arrived at b, finished or not."""
    annex = pair.b.repo / ".git/annex"
    found = [path.stat().st_size for place in ("objects", "tmp") for path in annex.glob(f"{place}/**/SHA256E*")
             if path.is_file()]
    return sum(found)


def measure(pair: Pair) -> float:
    """Bytes a second at b, over ten seconds from when the first have come."""
    eventually(lambda: bytes_here(pair) > RATE / 5, 60)
    began, before = time.monotonic(), bytes_here(pair)
    eventually(lambda: time.monotonic() - began >= SECONDS, SECONDS + 5)
    return (bytes_here(pair) - before) / (time.monotonic() - began)


@pytest.mark.parametrize("jobs", [1, 3])
def test_jobs_of_a_command_share_the_limit(pair: Pair, jobs: int) -> None:
    annexd = Annexd(dict(pair.a.env))
    for n in range(6):
        pair.a.write(f"large{n}", os.urandom(3_000_000))
    for n in range(200):
        pair.a.write(f"small{n:03}", os.urandom(10_000))
    annexd(pair.a.repo, "add", "-q")
    pair.a.git("commit", "-qm", "files")
    annexd(pair.b.repo, "pull", "-g")
    pair.b.git("config", "remote.a.annex-bwlimit-download", f"{RATE}B")
    command = [sys.executable, "-m", "annexd", "get", "-q", f"-J{jobs}"]
    with subprocess.Popen(command, cwd=pair.b.repo, env=dict(pair.b.env)) as process:
        speed = measure(pair)
        process.terminate()
    assert speed == pytest.approx(RATE, rel=0.05)


def test_slots_of_the_daemon_share_the_limit_and_follow_its_change(pair: Pair) -> None:
    pair.a.git("config", "annex.jobs", "3")
    pair.a.git("config", "annex.bwlimit-upload", f"{RATE}B")
    pair.a.start()
    for n in range(12):
        pair.a.write(f"large{n}", os.urandom(3_000_000))
    assert measure(pair) == pytest.approx(RATE, rel=0.05)
    pair.a.git("config", "remote.b.annex-bwlimit", f"{2 * RATE}B")
    time.sleep(1.0)     # the change is to be heeded within this time
    assert measure(pair) == pytest.approx(2 * RATE, rel=0.05)
