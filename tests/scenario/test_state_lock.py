"""No thread of the daemon keeps the others waiting for the shared state."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.shared import SharedAnnex
from annexd.annex.state import AnnexState
from annexd.assistant.alerts import Alerts
from annexd.assistant.parts import Parts
from annexd.assistant.status import Status, StatusBoard
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from annexd.threads.supervisor import Supervisor
from tests.support.annexes import add_remote, make_annex, put
from tests.support.eventually import eventually
from tests.support.machine import busy_factor
from tests.support.many_keys import commit_keys, make_key, path_of
from tests.support.repositories import git, make_removable

LIMIT = 240.0
LONGEST = 0.050     # seconds
COUNT = 10_000      # files


class Probe:
    """A thread that wants the state every other millisecond, and notes for how long it has to wait."""

    def __init__(self, shared: SharedAnnex) -> None:
        self._shared = shared
        self._stop = StopSignal()
        self._thread = NamedThread("probe", self._run)
        self.waits: list[tuple[float, str]] = []

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            holder = self._shared.holder
            began = time.monotonic()
            with self._shared.locked():
                waited = time.monotonic() - began
            self.waits.append((waited, holder or "nobody"))

    @contextmanager
    def watching(self) -> Iterator[Probe]:
        self._thread.start()
        yield self
        self._stop.set()
        assert self._thread.join(Deadline(10))

    def longest(self) -> tuple[float, str]:
        """The longest waits while somebody had the state, by whom."""
        return max((wait for wait in self.waits if wait[1] != "nobody"), default=(0.0, "nobody"))


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Callable[[AnnexState], Parts]]:
    """The whole daemon in this process."""
    stop = StopSignal()
    crashes: list[BaseException] = []
    supervisor = Supervisor(stop, lambda name, error, parked: crashes.append(error))
    made: list[Parts] = []

    def start(state: AnnexState) -> Parts:
        board = StatusBoard(Status(os.getpid(), 0.0, "test"))
        made.append(Parts(state, board, Alerts(board, None)))
        made[0].register(supervisor)
        made[0].start()
        supervisor.start()
        assert made[0].is_watching(Deadline(30))
        return made[0]

    yield start
    stop.set()
    supervisor.join(Deadline(20))
    for one in made:
        one.close(Deadline(10))
    make_removable(tmp_path)
    assert not crashes


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["a burst", "there before the start", "committed by a person", "pulled"])
def test_a_commit_of_ten_thousand_files_delays_nobody(
    tmp_path: Path, parts: Callable[[AnnexState], Parts], how: str
) -> None:
    here, there = make_annex(tmp_path / "here"), make_annex(tmp_path / "there")
    add_remote(here, "there", there)
    top = tmp_path / "here"
    if how == "there before the start":
        make_files(top)
    daemon = parts(here)
    with Probe(daemon.shared).watching() as probe:
        if how == "a burst":
            make_files(top)
        elif how == "committed by a person":
            keys = [make_key(number) for number in range(COUNT)]
            commit_keys(here.fork(), {path_of(number): key for number, key in enumerate(keys)})
        elif how == "pulled":
            keys = [put(there, b"%d\n" % number) for number in range(COUNT)]
            commit_keys(there, {path_of(number): key for number, key in enumerate(keys)})
            there.locations.record_many([(key, there.uuid, Presence.PRESENT) for key in keys])
            git(top, "fetch", "-q", "there")
        eventually(lambda: _count(top) >= COUNT, LIMIT, "the commits")
        if how == "committed by a person":
            eventually(lambda: len(daemon.transfers.deferred) >= COUNT, LIMIT, "the deferred downloads")
        eventually(lambda: how != "pulled" or sum(1 for _ in here.store.all_keys()) >= COUNT, LIMIT, "the contents")
        eventually(lambda: daemon.transfers.queue.counts().queued + daemon.transfers.queue.counts().running == 0, LIMIT)
    _check(probe, daemon)
    there.close()


def make_files(top: Path) -> None:
    for number in range(COUNT):
        path = top / os.fsdecode(path_of(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d\n" % number)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_transfer_of_a_gigabyte_delays_nobody(tmp_path: Path, parts: Callable[[AnnexState], Parts]) -> None:
    here, there = make_annex(tmp_path / "here"), make_annex(tmp_path / "there")
    add_remote(here, "there", there)
    daemon = parts(here)
    with Probe(daemon.shared).watching() as probe:
        with open(tmp_path / "here/large", "wb") as file:
            for _ in range(1024):
                file.write(os.urandom(1 << 20))
        eventually(lambda: any(there.store.all_keys()), LIMIT, "the transfer")
        eventually(lambda: daemon.transfers.queue.counts().running == 0, LIMIT)
    _check(probe, daemon)
    there.close()


def _check(probe: Probe, daemon: Parts) -> None:
    wait, holder = probe.longest()
    held, by = daemon.shared.longest_hold_ns / 1e9, daemon.shared.longest_holder
    print(f"{len(probe.waits)} uses; longest wait {wait:.3f} s for {holder}, longest hold {held:.3f} s by {by}")
    limit = LONGEST * busy_factor()
    assert wait <= limit
    assert held <= limit


def _count(top: Path) -> int:
    return git(top, "ls-tree", "-r", "--name-only", "HEAD").count(b"\n") if _has_commits(top) else 0


def _has_commits(top: Path) -> bool:
    return bool(git(top, "for-each-ref", "refs/heads/master", "refs/heads/main"))
