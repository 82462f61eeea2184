"""Bars at the bottom of a terminal, drawn by rich; everything that is written scrolls above them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from annexd.cli.reporters.board import Row, Totals
from annexd.formats.units import format_seconds, format_size_short

BAR_WIDTH = 24
NARROW = 72             # columns, below which there is no room for bars
RESERVED_LINES = 3      # of the terminal's height that bars leave free
MARGIN = 3              # columns at the right, for the "^C" that a terminal adds: a new line would shift all


class Screen:
    """Belongs to the thread that made it. Once closed, the bars are gone and what was written is there."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(
            file=stream, force_terminal=True, markup=False, highlight=False, emoji=False, soft_wrap=True
        )
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._unfinished = ""
        self._live.start()

    def write(self, text: str) -> None:
        """Put text above the bars. A line without an end waits for it."""
        whole, newline, self._unfinished = (self._unfinished + text).rpartition("\n")
        if newline:
            self._console.print(Text(_printable(whole)), soft_wrap=True)

    def draw(self, rows: Sequence[Row], totals: Totals) -> None:
        """Show these now."""
        room = max(1, self._console.height - RESERVED_LINES)
        shown = rows if len(rows) <= room else rows[: room - 1]
        self._live.update(self._table(shown, len(rows) - len(shown), totals), refresh=True)

    def close(self) -> None:
        """Take the bars away."""
        self._live.update("", refresh=False)
        self._live.stop()
        if self._unfinished:
            self._console.print(Text(_printable(self._unfinished)), end="", soft_wrap=True)

    def _table(self, rows: Sequence[Row], hidden: int, totals: Totals) -> Table:
        has_bars = self._console.width >= NARROW
        columns = [Column(ratio=1, no_wrap=True, overflow="ellipsis")]
        columns += [Column(width=BAR_WIDTH)] if has_bars else []
        columns += [Column(justify="right", no_wrap=True) for _ in range(4)]
        table = Table.grid(*columns, padding=(0, 1, 0, 0), expand=True)
        table.width = max(1, self._console.width - MARGIN)
        for row in rows:
            speed = row.speed.at(row.done)
            _add(table, has_bars, _printable(row.label), row.done, row.total, speed)
        if hidden:
            table.add_row(Text(f"and {hidden} more"))
        done = totals.bytes_done + sum(min(row.done, row.total or row.done) for row in rows)
        more = "" if totals.is_complete else "+"
        label = f"{totals.files_done} of {totals.files}{more} files"
        known = totals.bytes if totals.is_complete else None
        _add(table, has_bars, label, done, known, totals.speed.at(done))
        return table


class Page:
    """Lines that are replaced by others; what does not fit at the bottom is left out. A context manager."""

    def __init__(self, stream: TextIO) -> None:
        console = Console(file=stream, force_terminal=True, markup=False, highlight=False, emoji=False)
        self._live = Live(
            console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False,
            vertical_overflow="ellipsis",
        )

    def show(self, lines: Iterable[str]) -> None:
        """Show these instead."""
        text = Text("\n".join(_printable(line) for line in lines), no_wrap=True, overflow="ellipsis")
        self._live.update(text, refresh=True)

    def __enter__(self) -> Page:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()


def _add(table: Table, has_bars: bool, label: str, done: int, total: int | None, speed: float | None) -> None:
    cells: list[Text | ProgressBar] = [Text(label)]
    if has_bars:
        cells.append(ProgressBar(total=total or 1, completed=min(done, total or 1), width=BAR_WIDTH, pulse=False)
                     if total else Text(""))
    percent = f"{min(100, 100 * done // total)}%" if total else ""
    amount = f"{format_size_short(done)}/{format_size_short(total)}" if total else format_size_short(done)
    rate = f"{format_size_short(round(speed))}/s" if speed is not None else ""
    left = format_seconds((total - done) / speed) if total and speed and total >= done else ""
    table.add_row(*cells, *_texts((percent, amount, rate, left)))


def _texts(words: Iterable[str]) -> list[Text]:
    return [Text(word) for word in words]


def _printable(text: str) -> str:
    """Bytes that are no proper text come as U+FFFD; nothing moves the cursor."""
    decoded = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in decoded)
