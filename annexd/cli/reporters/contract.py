"""What a command may say about its work; text and JSON are two ways to show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from annexd.formats.key import Key

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


class Action(Protocol):
    """One thing that is being done, mostly to one file. Owned by one thread, and ended by one call."""

    def note(self, text: str) -> None:
        """A few words that stand in parentheses behind the name."""

    def long_note(self, text: str) -> None:
        """One or more lines of their own."""

    def advice(self, text: str) -> None:
        """Lines for people only."""

    def error(self, text: str) -> None:
        """Say what went wrong; does not end the action."""

    def warning(self, text: str) -> None:
        """Lines of trouble that name the file themselves."""

    def field(self, name: str, value: Json) -> None:
        """A value for machines only."""

    def progress(self, done: int, total: int | None) -> None:
        """Bytes done so far."""

    def give_up(self) -> None:
        """The end: it was stopped half-way, which counts neither as success nor as failure."""

    def succeed(self) -> None:
        """The end: it worked."""

    def fail(self) -> None:
        """The end: it did not."""


class Board(Protocol):
    """How far a command with many files has come. `tick` belongs to the main thread, the rest to any."""

    def expect(self, size: int | None) -> None:
        """There is one more to work on, of so many bytes."""

    def all_known(self) -> None:
        """No more will be expected."""

    def done(self, size: int | None, files: int = 1) -> None:
        """So many of those expected are through, well or badly, `size` bytes in all."""

    def needless(self, size: int | None) -> None:
        """One of those expected turned out to need nothing."""

    def tick(self) -> None:
        """Show how things are now; to be called some ten times a second."""


class Reporter(Protocol):
    """Where a command's messages go. Its methods may be called from any thread."""

    @property
    def wants_records(self) -> bool:
        """Whether it shows `record` rather than lines."""

    def begin(
        self,
        command: str,
        subject: str = "",
        *,
        file: bytes | None = None,
        key: Key | None = None,
        given: Sequence[str] = (),
    ) -> Action:
        """Start an action on a file (path as shown to the user), a key, or something else that `subject` names."""

    def begin_silent(self, command: str, *, file: bytes, given: Sequence[str] = ()) -> Action:
        """An action of which people see only the errors, as it never really started."""

    def line(self, data: bytes) -> None:
        """Output that is itself what the user asked for, written as it is."""

    def record(self, value: Mapping[str, Json]) -> None:
        """The same for a JSON reader."""

    def info(self, text: str) -> None:
        """A line of its own for people."""

    def error(self, text: str) -> None:
        """Trouble that belongs to no action; not counted as a failure by itself."""

    def blank(self) -> None:
        """The answer to a line of batch input for which there was nothing to do."""

    def write_error(self, text: str) -> None:
        """Text for standard error as it is."""

    def failed(self) -> None:
        """Count a failure that no action stands for."""

    def write_warning(self, text: str) -> None:
        """A line of trouble that belongs to no action, as it is."""

    def showing(self, jobs: int) -> AbstractContextManager[Board]:
        """Within the block, so many jobs work on many files."""

    def finish(self) -> int:
        """Say how many actions failed; the exit status."""
