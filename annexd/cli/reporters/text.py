"""Messages for people, worded and laid out as git-annex does it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TextIO

from annexd.cli.reporters.contract import Action, Json
from annexd.cli.reporters.quoting import Quoting, quote
from annexd.formats.key import Key


class TextReporter:
    """Prints actions as they proceed, or each as a whole at its end when several run at a time."""

    def __init__(self, program: str, command: str, *, concurrent: bool = False, quoting: Quoting = Quoting.ALL) -> None:
        self.program = program
        self.quoting = quoting
        self._command = command
        self._concurrent = concurrent
        self._lock = threading.Lock()       # leaf: guards the two streams and the count
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
        return _TextAction(self, f"{command} {subject} ", buffered=self._concurrent)

    def begin_silent(self, command: str, *, file: bytes, given: Sequence[str] = ()) -> Action:
        """An action that says nothing but its errors."""
        del command, file, given
        return _QuietAction(self)

    def line(self, data: bytes) -> None:
        """Write `data` as it is."""
        with self._lock:
            sys.stdout.buffer.write(data)

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
        with self._lock:
            _put(sys.stdout, text)

    def write_error(self, text: str) -> None:
        """Write text to standard error."""
        with self._lock:
            sys.stdout.flush()
            _put(sys.stderr, text)
            sys.stderr.flush()


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


class _TextAction:
    """One line on the terminal, and the lines below it."""

    def __init__(self, reporter: TextReporter, start: str, *, buffered: bool) -> None:
        self._reporter = reporter
        self._pending: list[str] | None = [] if buffered else None
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
        self._write("\n")
        self._flush()
        self._reporter.write_error("\n".join(indent + line for line in text.splitlines()) + "\n")

    def field(self, name: str, value: Json) -> None:
        del name, value

    def progress(self, done: int, total: int | None) -> None:
        if self._pending is None and total and sys.stdout.isatty():
            self._write(f"\r{100 * done // total}% ")

    def succeed(self) -> None:
        self._write("ok\n")
        self._flush()

    def fail(self) -> None:
        self._write("failed\n")
        self._reporter.failed()
        self._flush()

    def _write(self, text: str) -> None:
        if self._pending is None:
            self._reporter.write(text)
        else:
            self._pending.append(text)

    def _flush(self) -> None:
        if self._pending:
            self._reporter.write("".join(self._pending))
            self._pending.clear()


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

    def succeed(self) -> None:
        return

    def fail(self) -> None:
        self._reporter.failed()


def _put(stream: TextIO, text: str) -> None:
    """Write `text`, in which undecodable bytes of file names were kept, whatever the locale can print."""
    stream.buffer.write(text.encode("utf-8", "surrogateescape"))
