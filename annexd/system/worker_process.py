"""A function of ours in a process of its own, where it does not share an interpreter with busy threads."""

from __future__ import annotations

import importlib
import os
import pickle
import select
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from annexd.errors import ProcessError
from annexd.system.processes import CoProcess

HELLO = b"ready\n"
LENGTH_BYTES = 8

_START = "import sys; sys.path[:] = sys.argv[2:]; from annexd.system.worker_process import serve; serve(sys.argv[1])"

_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

Handler = Callable[[Any], Any]


class WorkerProcess:
    """Calls `maker(setup)` in a new process, and then what that returned for each request. One thread owns it.

    `maker` is named "module:function". Starting is not waited for: see `is_ready`. The process ends when we do, as its
    input ends then. It gets pickles from us alone, and we from it.
    """

    def __init__(self, maker: str, setup: object) -> None:
        # without the site module, as our own search path is all that it needs; that halves the time to start
        path = [_HOME, *filter(None, sys.path)]
        self._process = CoProcess([sys.executable, "-S", "-E", "-s", "-c", _START, maker, *path])
        self._setup = setup
        self._is_started = False
        self._is_ready = False

    def start(self) -> None:
        """Start it, unless it runs. Raises ProcessError."""
        if self._is_started:
            return
        _write(self._process.stdin, self._setup)
        self._is_started = True

    def is_ready(self) -> bool:
        """Whether a request would be worked on at once. Never waits. Raises ProcessError when it died."""
        if self._is_started and not self._is_ready:
            stdout = self._process.stdout
            if select.select([stdout], [], [], 0)[0]:
                if stdout.read(len(HELLO)) != HELLO:
                    raise self._failure()
                self._is_ready = True
        return self._is_ready

    def ask(self, request: object) -> Any:
        """The answer to one request; blocks for it. Raises ProcessError when the process died of it."""
        self.send(request)
        return self.receive()

    def send(self, request: object) -> None:
        """Have it work on a request; then comes `receive`, before the next. Raises ProcessError."""
        if not self._is_ready:      # a new process would take this for its setup
            raise self._failure()
        try:
            _write(self._process.stdin, request)
        except OSError as error:
            raise self._failure() from error

    def receive(self) -> Any:
        """The answer to what was sent; blocks for it. Raises ProcessError when the process died of it."""
        try:
            return _read(self._process.stdout)
        except (OSError, EOFError) as error:
            raise self._failure() from error

    def close(self) -> None:
        """End it. May be called again; `start` starts a new one."""
        self._is_started = self._is_ready = False
        self._process.close()

    def _failure(self) -> ProcessError:
        self._is_started = self._is_ready = False
        return self._process.failure()


def serve(maker: str) -> None:
    """The other process: answer requests until the input ends."""
    module, _, name = maker.partition(":")
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)       # whatever prints must not disturb the answers
    setup = _read(source)
    handler: Handler = getattr(importlib.import_module(module), name)(setup)
    sink.write(HELLO)
    sink.flush()
    while True:
        try:
            request = _read(source)
        except EOFError:
            return
        _write(sink, handler(request))


def _write(file: BinaryIO, message: object) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    file.write(len(data).to_bytes(LENGTH_BYTES))
    file.write(data)
    file.flush()


def _read(file: BinaryIO) -> Any:
    length = file.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        raise EOFError
    size = int.from_bytes(length)
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)
