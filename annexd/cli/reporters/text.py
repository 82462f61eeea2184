"""Messages for people, worded and laid out as git-annex does it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from annexd.cli.reporters.board import NoBoard, Row
from annexd.cli.reporters.contract import Action, Board, Json
from annexd.cli.reporters.quoting import Quoting, quote
from annexd.cli.reporters.terminal import FlushingBoard, Piece, Stream, Terminal, can_show_bars, put
from annexd.formats.key import Key


class TextReporter:
    """Prints actions as they proceed, or each as a whole at its end when several run at a time."""

    wants_records = False

    def __init__(self, program: str, command: str, *, concurrent: bool = False, quoting: Quoting = Quoting.ALL) -> None:
        self.program = program
        self.quoting = quoting
        self._command = command
        self._concurrent = concurrent
        self._lock = threading.Lock()       # leaf: guards the two streams and the count
        self._terminal: Terminal | None = None      # while there are bars below what is written
        self._failures = 0

    def begin(
        self,
        command: str,
        subject: str = "",
        *,
        file: bytes | None = None,
        key: Key | None = None,
        given: Sequence[str] = (),
    ) -> Action:
        """Start a line "command subject "."""
        del given
        if file is not None:
            subject = quote(file, self.quoting)
        elif key is not None and not subject:
            subject = str(key)
        terminal = self._terminal
        if terminal is not None:
            return _TextAction(self, f"{command} {subject} ", [], terminal.row(f"{command} {subject}"))
        return _TextAction(self, f"{command} {subject} ", [] if self._concurrent else None)

    def begin_silent(self, command: str, *, file: bytes, given: Sequence[str] = ()) -> Action:
        """An action that says nothing but its errors."""
        del command, file, given
        return _QuietAction(self)

    def line(self, data: bytes) -> None:
        """Write `data` as it is."""
        self.write(data.decode("utf-8", "surrogateescape"))

    def record(self, value: Mapping[str, Json]) -> None:
        """Nothing: people read `line`."""

    def info(self, text: str) -> None:
        """Write a line."""
        self.write(text + "\n")

    def error(self, text: str) -> None:
        """Write to standard error, behind what standard output got before."""
        self.write_error(f"{self.program}: {text}\n")

    def blank(self) -> None:
        """An empty line, at once: the other side waits for it."""
        with self._lock:
            sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()

    def failed(self) -> None:
        """Count a failure."""
        with self._lock:
            self._failures += 1

    def finish(self) -> int:
        """Write "command: N failed" if any did."""
        with self._lock:
            sys.stdout.flush()
            if self._failures:
                print(f"{self._command}: {self._failures} failed", file=sys.stderr)
            return 1 if self._failures else 0

    def write(self, text: str) -> None:
        """Write text to standard output."""
        self.write_all([(Stream.OUT, text)])

    def write_error(self, text: str) -> None:
        """Write text to standard error."""
        self.write_all([(Stream.ERROR, text)])

    def write_warning(self, text: str) -> None:
        """Write to standard error, on a line of its own."""
        self.write_all([(Stream.OUT, "\n"), (Stream.ERROR, text + "\n")])

    def write_all(self, pieces: Sequence[Piece]) -> None:
        """Write these in their order, with nothing of others in between."""
        terminal = self._terminal
        if terminal is not None:
            terminal.put(pieces)
            return
        with self._lock:
            put(pieces)

    @contextmanager
    def showing(self, jobs: int) -> Iterator[Board]:
        """Bars for what is running, on a terminal that can show them."""
        before = self._concurrent
        self._concurrent = before or jobs > 1
        try:
            if not can_show_bars():
                yield FlushingBoard()
                return
            with Terminal() as self._terminal:
                yield self._terminal
        finally:
            self._terminal = None
            self._concurrent = before


class QuietReporter(TextReporter):
    """Errors only, and what the user asked for."""

    def begin(
        self,
        command: str,
        subject: str = "",
        *,
        file: bytes | None = None,
        key: Key | None = None,
        given: Sequence[str] = (),
    ) -> Action:
        """An action that says nothing but its errors."""
        del command, subject, file, key, given
        return _QuietAction(self)

    def info(self, text: str) -> None:
        """Nothing."""

    @contextmanager
    def showing(self, jobs: int) -> Iterator[Board]:
        """Nothing is shown."""
        del jobs
        yield NoBoard()


class _TextAction:
    """One line on the terminal, and the lines below it: as they come, or with `pending` all of them at the end."""

    def __init__(
        self, reporter: TextReporter, start: str, pending: list[Piece] | None = None, row: Row | None = None
    ) -> None:
        self._reporter = reporter
        self._pending = pending
        self._row = row
        self._write(start)

    def note(self, text: str) -> None:
        self._write(f"({text}) ")

    def long_note(self, text: str) -> None:
        self._write("\n" + "\n".join("  " + line for line in text.splitlines()) + "\n")

    def advice(self, text: str) -> None:
        self.long_note(text)

    def error(self, text: str) -> None:
        self.warning(f"{self._reporter.program}: {text}", indent="")

    def warning(self, text: str, *, indent: str = "  ") -> None:
        lines = "\n".join(indent + line for line in text.splitlines()) + "\n"
        self._put([(Stream.OUT, "\n"), (Stream.ERROR, lines)])

    def field(self, name: str, value: Json) -> None:
        del name, value

    def progress(self, done: int, total: int | None) -> None:
        if self._row is not None:
            self._row.done, self._row.total = done, total

    def give_up(self) -> None:
        if self._pending is None:
            self._write("\n")
        else:
            self._pending.clear()
        self._end()

    def succeed(self) -> None:
        self._write("ok\n")
        self._end()

    def fail(self) -> None:
        self._write("failed\n")
        self._reporter.failed()
        self._end()

    def _write(self, text: str) -> None:
        self._put([(Stream.OUT, text)])

    def _put(self, pieces: list[Piece]) -> None:
        if self._pending is None:
            self._reporter.write_all(pieces)
        else:
            self._pending += pieces

    def _end(self) -> None:
        if self._row is not None:
            self._row.end()
        if self._pending:
            self._reporter.write_all(self._pending)


class _QuietAction:
    """An action of which only the errors are heard."""

    def __init__(self, reporter: TextReporter) -> None:
        self._reporter = reporter

    def note(self, text: str) -> None:
        del text

    def long_note(self, text: str) -> None:
        del text

    def advice(self, text: str) -> None:
        del text

    def error(self, text: str) -> None:
        self._reporter.error(text)

    def warning(self, text: str) -> None:
        self._reporter.write_error("\n".join("  " + line for line in text.splitlines()) + "\n")

    def field(self, name: str, value: Json) -> None:
        del name, value

    def progress(self, done: int, total: int | None) -> None:
        del done, total

    def give_up(self) -> None:
        return

    def succeed(self) -> None:
        return

    def fail(self) -> None:
        self._reporter.failed()
