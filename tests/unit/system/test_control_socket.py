"""Asking a running program over a socket."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.system.control_socket import LONGEST_LINE, ControlSocket, ask
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from tests.support.eventually import eventually


@pytest.fixture(params=["short", "long"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    """Where to listen: also where a socket's address has no room for the name."""
    directory = tmp_path if request.param == "short" else tmp_path / ("x" * 100) / ("y" * 100)
    directory.mkdir(parents=True, exist_ok=True)
    return os.fsencode(directory / "control")


@pytest.fixture
def stop(path: bytes) -> Iterator[StopSignal]:
    signal = StopSignal()
    server = ControlSocket(path, lambda line: b"you said " + line)
    thread = NamedThread("control", lambda: server.run(signal))
    thread.start()
    eventually(lambda: os.path.exists(path))
    yield signal
    signal.set()
    assert thread.join(Deadline(5))
    assert not os.path.exists(path)


def say(path: bytes, text: bytes) -> bytes:
    return eventually(lambda: ask(path, text, Deadline(5)))


def test_a_line_is_answered_by_a_line(stop: StopSignal, path: bytes) -> None:
    assert say(path, b"hello") == b"you said hello"
    assert say(path, b"x" * 60_000) == b"you said " + b"x" * 60_000


def test_only_the_user_may_connect(stop: StopSignal, path: bytes) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_several_talk_at_a_time_and_one_may_ask_again(stop: StopSignal, path: bytes) -> None:
    if len(path) > 100:
        pytest.skip("connects by the plain name")
    with socket.socket(socket.AF_UNIX) as slow, socket.socket(socket.AF_UNIX) as other:
        for connection in (slow, other):
            connection.settimeout(5)
            connection.connect(path)
        slow.sendall(b"hal")
        other.sendall(b"one\ntwo\n")
        answers = b""
        while answers.count(b"\n") < 2:
            answers += other.recv(1000)
        assert answers == b"you said one\nyou said two\n"
        slow.sendall(b"f\n")
        assert slow.recv(1000) == b"you said half\n"
        slow.shutdown(socket.SHUT_WR)
        assert slow.recv(1000) == b""


def test_a_line_without_end_ends_the_connection(stop: StopSignal, path: bytes) -> None:
    if len(path) > 100:
        pytest.skip("connects by the plain name")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(path)
        with pytest.raises(OSError):
            for _ in range(100):
                connection.sendall(b"x" * LONGEST_LINE)
    assert say(path, b"still there") == b"you said still there"


def test_nobody_answers_where_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        ask(os.fsencode(tmp_path / "control"), b"hello", Deadline(1))


def test_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    signal = StopSignal()
    thread = NamedThread("control", lambda: ControlSocket(path, lambda line: line).run(signal))
    thread.start()
    try:
        eventually(lambda: _answers(path))
    finally:
        signal.set()
        assert thread.join(Deadline(5))


def _answers(path: bytes) -> bool:
    try:
        return ask(path, b"x", Deadline(1)) == b"x"
    except OSError:
        return False
