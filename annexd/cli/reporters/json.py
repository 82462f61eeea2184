"""One JSON object per action and line, with the field names of git-annex."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from annexd.cli.reporters.board import NoBoard
from annexd.cli.reporters.contract import Action, Board, Json
from annexd.cli.reporters.quoting import Quoting, quote
from annexd.formats.key import Key

PROGRESS_INTERVAL = 0.1     # seconds between two lines of progress of one action


class JsonReporter:
    """Prints an object at the end of each action."""

    wants_records = True

    def __init__(self, program: str, command: str, *, errors_inside: bool, progress: bool = False) -> None:
        self.program = program
        self.quoting = Quoting.ALL
        self.errors_inside = errors_inside
        self.with_progress = progress
        self._command = command
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
        """Start collecting an object."""
        del subject
        fields: dict[str, Json] = {"command": command, "input": [_text(word) for word in given]}
        if file is not None:
            fields["file"] = file.decode("utf-8", "replace")
        if key is not None:
            fields["key"] = bytes(key).decode("utf-8", "replace")
        return _JsonAction(self, fields, "" if file is None else quote(file, self.quoting))

    def begin_silent(self, command: str, *, file: bytes, given: Sequence[str] = ()) -> Action:
        """Start collecting an object."""
        return self.begin(command, file=file, given=given)

    def line(self, data: bytes) -> None:
        """Nothing: machines read `record`."""

    def record(self, value: Mapping[str, Json]) -> None:
        """Print one object."""
        with self._lock:
            text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
            sys.stdout.buffer.write(_text(text).encode() + b"\n")
            sys.stdout.buffer.flush()

    def info(self, text: str) -> None:
        """Nothing."""

    def error(self, text: str) -> None:
        """Write to standard error."""
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

    def write_warning(self, text: str) -> None:
        """Write to standard error."""
        self.write_error(text + "\n")

    def showing(self, jobs: int) -> AbstractContextManager[Board]:
        """Nothing is shown but the objects."""
        del jobs
        return nullcontext(NoBoard())

    def finish(self) -> int:
        """Write "command: N failed" if any did."""
        with self._lock:
            sys.stdout.flush()
            if self._failures:
                print(f"{self._command}: {self._failures} failed", file=sys.stderr)
            return 1 if self._failures else 0

    def write_error(self, text: str) -> None:
        """Write text to standard error."""
        with self._lock:
            sys.stdout.flush()
            sys.stderr.buffer.write(text.encode("utf-8", "surrogateescape"))
            sys.stderr.buffer.flush()


class _JsonAction:
    """One object in the making."""

    def __init__(self, reporter: JsonReporter, fields: dict[str, Json], shown: str) -> None:
        self._reporter = reporter
        self._fields = fields
        self._shown = shown
        self._notes: list[str] = []
        self._errors: list[str] = []
        self._not_before = 0.0
        self._told = -1         # bytes

    def note(self, text: str) -> None:
        self._notes.append(text)

    def long_note(self, text: str) -> None:
        self._notes.append(text)

    def advice(self, text: str) -> None:
        del text

    def error(self, text: str) -> None:
        self._trouble(f"{self._reporter.program}: {text}", indent="")

    def warning(self, text: str) -> None:
        self._trouble(text, indent="  ")

    def field(self, name: str, value: Json) -> None:
        self._fields[name] = value

    def progress(self, done: int, total: int | None) -> None:
        if not self._reporter.with_progress:
            return
        now = time.monotonic()
        is_end = total is not None and done >= total
        if self._told == done or (now < self._not_before and not is_end):
            return
        self._not_before, self._told = now + PROGRESS_INTERVAL, done
        shown: dict[str, Json] = {"action": dict(self._collected()), "byte-progress": done}
        if total:
            shown |= {"total-size": total, "percent-progress": _percentage(done, total)}
        self._reporter.record(shown)

    def give_up(self) -> None:
        return

    def succeed(self) -> None:
        self._end(success=True)

    def fail(self) -> None:
        self._end(success=False)
        self._reporter.failed()

    def _end(self, *, success: bool) -> None:
        self._reporter.record({**self._collected(), "error-messages": list(self._errors), "success": success})

    def _collected(self) -> dict[str, Json]:
        return self._fields | ({"note": "\n".join(self._notes)} if self._notes else {})

    def _trouble(self, text: str, *, indent: str) -> None:
        if self._reporter.errors_inside:
            self._errors.append(text)
        else:
            self._reporter.write_error("".join(f"{indent}{line}\n" for line in text.splitlines()))


def _percentage(done: int, total: int) -> str:
    """Source: git-annex: two decimals, without zeros at the end."""
    return f"{100 * done / total:.2f}".rstrip("0").rstrip(".") + "%"


def _text(word: str) -> str:
    """Proper text: bytes that were none come as U+FFFD."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
