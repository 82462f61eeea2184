"""git as a child process: run once, or kept alive and talked to through pipes.

Only plumbing is run, in the C locale, without the location variables of an enclosing git command
(a hook of one repository must not redirect what we do in another).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from annexd.errors import GitError, ProcessError
from annexd.system.processes import CoProcess, run_status
from annexd.threads.stop_signal import StopSignal

# What git itself calls repository-local variables (git rev-parse --local-env-vars), less the GIT_CONFIG_* ones:
# settings given as `git -c name=value annex ...` are meant for us too.
LOCATION_VARIABLES = (
    b"GIT_ALTERNATE_OBJECT_DIRECTORIES",
    b"GIT_OBJECT_DIRECTORY",
    b"GIT_DIR",
    b"GIT_WORK_TREE",
    b"GIT_IMPLICIT_WORK_TREE",
    b"GIT_GRAFT_FILE",
    b"GIT_INDEX_FILE",
    b"GIT_NO_REPLACE_OBJECTS",
    b"GIT_REPLACE_REF_BASE",
    b"GIT_PREFIX",
    b"GIT_SHALLOW_FILE",
    b"GIT_COMMON_DIR",
    b"GIT_INTERNAL_SUPER_PREFIX",
    b"GIT_QUARANTINE_PATH",
    b"GIT_NAMESPACE",
)

_READ_SIZE = 1 << 16
_IDLE = 0.001 # seconds without use after which it is asked whether the process still runs: that costs a system call


def git_environment(extra: Mapping[bytes, bytes] | None = None) -> dict[bytes, bytes]:
    """Environment for a git child: ours, C locale, no optional locks, no location variables, plus `extra`."""
    env = dict(os.environb)
    for name in LOCATION_VARIABLES:
        env.pop(name, None)
    env[b"LC_ALL"] = b"C"
    env[b"GIT_OPTIONAL_LOCKS"] = b"0"
    if extra:
        env.update(extra)
    return env


class Completed(NamedTuple):
    """How a git command ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run_git(
    argv: Sequence[bytes],
    env: Mapping[bytes, bytes],
    stdin: bytes = b"",
    timeout: float | None = None,
    stop: StopSignal | None = None,
) -> Completed:
    """Run to the end and return what came out, whatever the exit status. Blocks, for `timeout` seconds at most.

    Raises GitError when git cannot be started, takes longer, or was ended by `stop`.
    """
    try:
        return Completed(*run_status(argv, env=env, stdin=stdin, timeout=timeout, stop=stop))
    except ProcessError as e:
        raise as_git_error(e) from e


def as_git_error(error: ProcessError) -> GitError:
    """The same failure, known to be git's."""
    return GitError(error.argv, error.returncode, error.stderr, hint=error.hint)


class GitProcess:
    """A git command that stays up and answers on its stdout. Owned by one thread.

    It starts on first use, and anew on the first use after `close` or after it died.
    """

    def __init__(self, argv: Sequence[bytes], env: Mapping[bytes, bytes]) -> None:
        self._process = CoProcess(argv, env=env)
        self._buffer = b""
        self._start = 0
        self._used = 0.0  # monotonic seconds

    def write(self, data: bytes) -> None:
        """Send all of `data`; may block until the child reads. Raises GitError when the child has gone."""
        now = time.monotonic()
        if now - self._used > _IDLE and not self._process.is_running():
            self.close()  # somebody killed it while it was idle: start anew
        self._used = now
        try:
            stdin = self._process.stdin
            stdin.write(data)
            stdin.flush()
        except ProcessError as e:
            raise as_git_error(e) from e
        except OSError as e:
            raise self.failure() from e

    def read_line(self) -> bytes:
        """The next line without its newline. Raises GitError when the child ends first."""
        return self.read_until(b"\n")

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to the one-byte `mark`, which is taken but not returned."""
        searched = 0
        while (end := self._buffer.find(mark, self._start + searched)) < 0:
            searched = len(self._buffer) - self._start
            self._buffer = self._buffer[self._start :] + self._receive()
            self._start = 0
        found = self._buffer[self._start : end]
        self._start = end + 1
        return found

    def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        missing = size - (len(self._buffer) - self._start)
        if missing <= 0:
            found = self._buffer[self._start : self._start + size]
            self._start += size
            return found
        pieces = [self._buffer[self._start :]]
        self._buffer, self._start = b"", 0
        while missing > 0:
            piece = self._receive()
            if len(piece) > missing:
                self._buffer, self._start = piece, missing
                piece = piece[:missing]
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _receive(self) -> bytes:
        piece = os.read(self._process.stdout.fileno(), _READ_SIZE)
        if not piece:
            raise self.failure()
        return piece

    def failure(self) -> GitError:
        """End the child and make the error that tells why it went."""
        self._buffer, self._start = b"", 0
        return as_git_error(self._process.failure())

    def close(self) -> None:
        """Close the child's stdin and wait for its end; twice is fine."""
        self._buffer, self._start = b"", 0
        self._process.close()
