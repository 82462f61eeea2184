"""The clock, systemd's socket, probes of the file system, the event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from annexd.errors import ConfigError
from annexd.formats.vector_clock import VectorClock
from annexd.system import systemd
from annexd.system.clock import SystemClock
from annexd.system.event_loop import EventLoop
from annexd.system.probe import probe
from annexd.threads.deadline import Deadline
from annexd.threads.held import Held, LockDisciplineError, holding


def test_new_log_entries_get_whole_seconds() -> None:
    now = SystemClock({}).vector_now()
    assert now == VectorClock.at(now.picoseconds // 10**12)
    assert abs(SystemClock({}).time_ns() / 10**12 - time.time() / 1000) < 1


def test_the_environment_can_set_the_vector_clock() -> None:
    clock = SystemClock({"GIT_ANNEX_VECTOR_CLOCK": "1700000000.5"})
    assert clock.vector_now().format() == b"1700000000.5s"
    with pytest.raises(ConfigError, match="GIT_ANNEX_VECTOR_CLOCK"):
        SystemClock({"GIT_ANNEX_VECTOR_CLOCK": "yesterday"}).vector_now()


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_is_told(tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "s") if kind == "path" else f"@annexd-test-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name if kind == "path" else "\0" + name[1:])
        listener.settimeout(5)
        assert systemd.notify("READY=1", {"NOTIFY_SOCKET": name})
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "nonsense", "/no/such/socket", "/" + "x" * 300])
def test_nobody_to_tell_is_no_trouble(address: str) -> None:
    assert not systemd.notify("READY=1", {"NOTIFY_SOCKET": address} if address else {})


def test_this_file_system_can_do_what_an_annex_needs(tmp_path: Path) -> None:
    found = probe(os.fsencode(tmp_path))
    assert found.has_record_locks
    assert found.has_symlinks
    assert not found.is_crippled
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_symlinks_is_crippled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "symlink", refuse)
    monkeypatch.setattr(os, "link", refuse)
    found = probe(os.fsencode(tmp_path))
    assert (found.has_symlinks, found.has_hard_links, found.is_crippled) == (False, False, True)


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


def test_coroutines_run_in_the_loop_and_their_results_come_back() -> None:
    loop = EventLoop()
    assert loop.call(answer(), Deadline(5)) == 42
    assert loop.submit(answer()).result(5) == 42
    loop.close(Deadline(5))
    with pytest.raises(RuntimeError, match="closed"):
        loop.submit(answer())


def test_a_coroutine_that_takes_too_long_is_cancelled() -> None:
    loop = EventLoop()
    with pytest.raises(TimeoutError):
        loop.call(asyncio.sleep(60), Deadline(0.02))
    loop.close(Deadline(5))


def test_closing_cancels_what_still_runs() -> None:
    loop = EventLoop()
    future = loop.submit(asyncio.sleep(60))
    loop.close(Deadline(5))
    assert future.cancelled()


def test_waiting_for_the_loop_is_refused_while_the_annex_state_is_held() -> None:
    loop, coroutine = EventLoop(), answer()
    with holding(Held.ANNEX_STATE), pytest.raises(LockDisciplineError):
        loop.call(coroutine, Deadline(1))
    coroutine.close()
