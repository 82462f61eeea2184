"""Lines that scroll above, and what is running below them: who writes what, in which order. `screen` draws it."""

from __future__ import annotations

import enum
import os
import sys
import threading
import time
from collections.abc import Iterable
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from annexd.cli.reporters.board import NoBoard, Row, Totals

if TYPE_CHECKING:
    from annexd.cli.reporters.screen import Screen

SHOW_AFTER = 0.4    # seconds; what is over sooner is not worth the loading of the library that draws


class Stream(enum.Enum):
    """Where text goes."""

    OUT = "standard output"
    ERROR = "standard error"


Piece = tuple[Stream, str]


def can_show_bars() -> bool:
    """Whether standard output is a terminal on which the cursor can be moved."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def put(pieces: Iterable[Piece]) -> None:
    """Write the pieces so that they are seen in this order."""
    for stream, text in pieces:
        if stream is Stream.OUT:
            _write(sys.stdout, text)
        else:
            sys.stdout.flush()
            _write(sys.stderr, text)
            sys.stderr.flush()


class FlushingBoard(NoBoard):
    """For output into a pipe or file: whoever reads it need not wait for the end."""

    def tick(self) -> None:
        """Hand on what was written."""
        sys.stdout.flush()


class Terminal:
    """A terminal while jobs run. They only leave text and numbers here; the main thread alone draws, in `tick`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()       # leaf: guards the two lists
        self._outbox: list[Piece] = []
        self._rows: list[Row] = []
        self._totals = Totals()
        self._began = time.monotonic()
        self._screen: Screen | None = None

    def put(self, pieces: Iterable[Piece]) -> None:
        """Text for above the bars; from any thread."""
        with self._lock:
            self._outbox += pieces

    def row(self, label: str) -> Row:
        """A new action is running; from any thread."""
        row = Row(label, self._drop)
        with self._lock:
            self._rows.append(row)
        return row

    def expect(self, size: int | None) -> None:
        """There is one more to work on."""
        self._totals.expect(size)

    def all_known(self) -> None:
        """No more will be expected."""
        self._totals.is_complete = True

    def done(self, size: int | None, files: int = 1) -> None:
        """So many of those expected are through."""
        self._totals.done(size, files)

    def needless(self, size: int | None) -> None:
        """One of those expected needed nothing."""
        self._totals.expect(size, -1)

    def tick(self) -> None:
        """Show what came, and how far things are."""
        with self._lock:
            pieces, self._outbox = self._outbox, []
            rows = list(self._rows)
        if self._screen is None and rows and time.monotonic() - self._began >= SHOW_AFTER:
            from annexd.cli.reporters.screen import Screen

            self._screen = Screen(sys.stdout)
        self._show(pieces)
        if self._screen is not None:
            self._screen.draw(rows, self._totals)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        screen, self._screen = self._screen, None
        if screen is not None:
            screen.close()
        with self._lock:
            pieces, self._outbox = self._outbox, []
        put(pieces)

    def _show(self, pieces: list[Piece]) -> None:
        if self._screen is None:
            put(pieces)
            sys.stdout.flush()
            return
        for is_for_screen, group in groupby(pieces, lambda piece: piece[0] is Stream.OUT or sys.stderr.isatty()):
            if is_for_screen:
                self._screen.write("".join(text for _, text in group))
            else:
                put(group)

    def _drop(self, row: Row) -> None:
        with self._lock:
            self._rows.remove(row)


def _write(stream: TextIO, text: str) -> None:
    """Write `text`, in which undecodable bytes of file names were kept, whatever the locale can print."""
    stream.buffer.write(text.encode("utf-8", "surrogateescape"))
