"""Showing the same thing again and again, as it is now."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from annexd.cli.invocation import Invocation
from annexd.threads.stop_signal import StopSignal

INTERVAL = 1.0      # seconds


@dataclass(frozen=True, slots=True)
class Report:
    """Lines for people, the same for machines, and the exit status."""

    lines: Sequence[str]
    record: dict[str, Any]
    exit_status: int = 0


def watch(call: Invocation, look: Callable[[], Report]) -> int:
    """Show what `look` finds, each second until Ctrl-C, on the same place of a terminal; the exit status."""
    from annexd.cli.reporters.terminal import can_show_bars

    pause = StopSignal()        # never set: Ctrl-C ends the wait
    if can_show_bars():
        from annexd.cli.reporters.screen import Page

        page: Page | nullcontext[None] = Page(sys.stdout)
    else:
        page = nullcontext()
    status = 0
    try:
        with page as shown:
            while True:
                report = look()
                status = report.exit_status
                if shown is not None and not call.reporter.wants_records:
                    shown.show(report.lines)
                else:
                    for line in report.lines:
                        call.reporter.info(line)
                    call.reporter.record(report.record)
                    sys.stdout.flush()
                pause.wait(INTERVAL)
    except KeyboardInterrupt:
        return status
