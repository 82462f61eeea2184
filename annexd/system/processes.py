"""Other programs: run to their end, or kept running and talked to."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO, cast

from annexd.errors import ProcessError
from annexd.threads.stop_signal import StopSignal

Argument = bytes | str
Environment = Mapping[str, str] | Mapping[bytes, bytes]

CANCELLED_HINT = "stopped on request"
TIMEOUT_HINT = "took too long"
STDERR_TAIL = 8192      # bytes of a co-process' error output that a failure shows


def run(
    argv: Sequence[Argument],
    *,
    cwd: bytes | None = None,
    env: Environment | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
    stop: StopSignal | None = None,
) -> bytes:
    """Run a program to its end; its standard output.

    Raises ProcessError when it fails, cannot be started (status 127), outlives `timeout` seconds, or `stop` is set.
    In the last two cases it is killed with all that it started; for that it gets a process group of its own, and so
    no terminal.
    """
    returncode, out, err, hint = _finish(argv, cwd, env, stdin, timeout, stop)
    if returncode != 0:
        raise ProcessError(argv, returncode, err, hint=hint)
    return out


def run_status(
    argv: Sequence[Argument],
    *,
    cwd: bytes | None = None,
    env: Environment | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
    stop: StopSignal | None = None,
) -> tuple[int, bytes, bytes]:
    """Like `run`, for programs whose status is an answer: exit status, output, error output."""
    returncode, out, err, hint = _finish(argv, cwd, env, stdin, timeout, stop)
    if hint:
        raise ProcessError(argv, returncode, err, hint=hint)
    return returncode, out, err


def _finish(
    argv: Sequence[Argument],
    cwd: bytes | None,
    env: Environment | None,
    stdin: bytes,
    timeout: float | None,
    stop: StopSignal | None,
) -> tuple[int, bytes, bytes, str]:
    own_group = timeout is not None or stop is not None
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=cast("Mapping[str, str] | None", env),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0 if own_group else None,
        )
    except OSError as error:
        raise ProcessError(argv, 127, str(error).encode()) from error
    forget = stop.on_stop(lambda: _kill_group(process)) if stop is not None else None
    try:
        out, err = process.communicate(stdin or None, timeout)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        out, err = process.communicate()
        return process.returncode or -signal.SIGKILL, out, err, TIMEOUT_HINT
    except BaseException:
        _kill(process, own_group=own_group)
        process.wait()
        raise
    finally:
        if forget is not None:
            forget()
    cancelled = stop is not None and stop.is_set() and process.returncode == -signal.SIGKILL
    return process.returncode, out, err, CANCELLED_HINT if cancelled else ""


def _kill(process: subprocess.Popen[bytes], *, own_group: bool) -> None:
    if own_group:
        _kill_group(process)
    else:
        process.kill()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class CoProcess:
    """A program that stays up and answers on its standard output. Owned by one thread.

    It starts on first use, and again on the first use after `restart` or after it died.
    """

    def __init__(
        self, argv: Sequence[Argument], *, cwd: bytes | None = None, env: Environment | None = None
    ) -> None:
        self.argv = tuple(argv)
        self._cwd = cwd
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: BinaryIO | None = None

    @property
    def stdin(self) -> BinaryIO:
        """Buffered; flush before waiting for an answer. Starts the program when needed; ProcessError."""
        return cast(BinaryIO, self._running().stdin)

    @property
    def stdout(self) -> BinaryIO:
        """Buffered; an empty read means that the program ended: raise `failure()`."""
        return cast(BinaryIO, self._running().stdout)

    def is_running(self) -> bool:
        """Whether the program is up now."""
        return self._process is not None and self._process.poll() is None

    def pid(self) -> int | None:
        """Its process id, None when it is not up."""
        return self._process.pid if self._process is not None and self.is_running() else None

    def failure(self) -> ProcessError:
        """End the program, and say why it can no longer be talked to. The next use starts a new one."""
        errors = self._errors
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        tail = _tail(errors) if errors is not None else b""
        returncode = process.returncode if process is not None else -1
        self.close()
        return ProcessError(self.argv, returncode, tail)

    def restart(self) -> None:
        """End it; the next use starts a new one, which knows nothing of the old one's caches."""
        self.close()

    def close(self, timeout: float = 1.0) -> None:
        """Close its input and wait for its end; kill it after `timeout` seconds. May be called again."""
        process, self._process = self._process, None
        errors, self._errors = self._errors, None
        if process is not None:
            _end(process, timeout)
        if errors is not None:
            errors.close()

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is None:
            process = self._process = self._start()
        return process

    def _start(self) -> subprocess.Popen[bytes]:
        errors = self._errors = open(os.memfd_create("stderr"), "r+b", buffering=0)
        try:
            return subprocess.Popen(
                list(self.argv),
                cwd=self._cwd,
                env=cast("Mapping[str, str] | None", self._env),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=1 << 16,
                process_group=0,    # Ctrl-C is for us: what we say of our work's end still needs them
            )
        except OSError as error:
            raise ProcessError(self.argv, 127, str(error).encode()) from error


def _end(process: subprocess.Popen[bytes], timeout: float) -> None:
    with suppress(OSError):     # what is still buffered finds no reader
        cast(BinaryIO, process.stdin).close()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    cast(BinaryIO, process.stdout).close()


def _tail(errors: BinaryIO) -> bytes:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - STDERR_TAIL))
    return errors.read()
