"""Running a program on a terminal of a given size, and seeing what a person there would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyte

from annexd.threads.deadline import Deadline

HISTORY = 10_000    # lines that scrolled away and are remembered


class Terminal:
    """A program on a terminal. `screen` is what is visible now, `scrolled` the lines that left it at the top."""

    def __init__(self, pid: int, fd: int, columns: int, rows: int) -> None:
        self.pid = pid
        self.status: int | None = None
        self._fd = fd
        self._screen = pyte.HistoryScreen(columns, rows, history=HISTORY, ratio=0.001)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def screen(self) -> list[str]:
        """The visible lines, without spaces at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def scrolled(self) -> list[str]:
        """The lines above them."""
        columns = self._screen.columns
        return ["".join(line[x].data for x in range(columns)).rstrip() for line in self._screen.history.top]

    @property
    def everything(self) -> list[str]:
        """All lines that are not empty, from the first on."""
        return [line for line in (*self.scrolled, *self.screen) if line]

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._fd, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window."""
        _set_size(self._fd, columns, rows)
        self._screen.resize(rows, columns)

    def watch(self, look: Callable[[], bool], deadline: Deadline | float = 60.0) -> bool:
        """Take in what is written until `look`, called after each piece, says true; False when the program ended."""
        budget = deadline if isinstance(deadline, Deadline) else Deadline(deadline)
        while not budget.expired():
            readable, _, _ = select.select([self._fd], [], [], 0.05)
            if readable and not self._take():
                return False
            if look():
                return True
        raise AssertionError("the terminal did not show it in time:\n" + "\n".join(self.screen))

    def wait(self, deadline: Deadline | float = 60.0) -> int:
        """Take in everything until the program ends; its exit status."""
        self.watch(lambda: False, deadline)
        if self.status is None:
            _, status = os.waitpid(self.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def _take(self) -> bool:
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:     # the program's side was closed
            return False
        if data:
            self._stream.feed(data)
        return bool(data)

    def close(self) -> None:
        """End the program if it still runs."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


@contextmanager
def annexd_on_terminal(
    repo: Path, *args: str, env: Mapping[str, str], columns: int = 100, rows: int = 24
) -> Iterator[Terminal]:
    """`annexd ARGS` on a terminal of its own."""
    pid, fd = pty.fork()
    if not pid:
        os.chdir(repo)
        command = [sys.executable, "-m", "annexd", *args]
        os.execve(command[0], command, {**env, "TERM": "xterm-256color"})
    _set_size(fd, columns, rows)
    terminal = Terminal(pid, fd, columns, rows)
    try:
        yield terminal
    finally:
        terminal.close()


def _set_size(fd: int, columns: int, rows: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
