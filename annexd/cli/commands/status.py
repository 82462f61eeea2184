"""`status`: what the daemon is doing."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.cli.watching import Report

if TYPE_CHECKING:
    from annexd.annex.layout import RepoLayout

NOT_RUNNING = 3     # as `systemctl status` has it
LISTED = 20         # transfers of a kind


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DIR]")
    parser.add_argument("-w", "--watch", action="store_true", help="go on showing it, until Ctrl-C")
    parser.add_argument("--limit", metavar="NUMBER", type=int, default=LISTED,
                        help=f"how many transfers of a kind to list (default: {LISTED})")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Print the daemon's own account of itself; exit status 3 when none runs."""
    from annexd.cli.daemon_control import layout_at, repository

    layout = layout_at(repository(options.words))
    if options.watch:
        from annexd.cli.watching import watch

        return watch(call, lambda: _look(layout, options.limit))
    report = _look(layout, options.limit)
    for line in report.lines:
        call.reporter.info(line)
    call.reporter.record(report.record)
    return report.exit_status


def _look(layout: RepoLayout, limit: int) -> Report:
    """How things are now."""
    from annexd.assistant.daemon_files import describe_process, read_status, running_pid
    from annexd.cli.daemon_control import ask_daemon
    from annexd.cli.transfer_report import describe_transfers
    from annexd.sync.brake_state import HINT, holds

    pid = running_pid(layout)
    if pid is None:
        held = holds(layout)
        lines = ["annexd is not running", *(f"  error: {hold} ({HINT})" for hold in held)]
        more = {"held": [asdict(hold) for hold in held]} if held else {}
        return Report(lines, {"running": False, **more}, NOT_RUNNING)
    status = read_status(layout) or {}
    if status.get("pid") != pid:
        return Report([f"{describe_process(pid)} is running (process {pid})"], {"running": True, "pid": pid})
    lines = list(describe(status, time.time()))
    record: dict[str, Any] = {"running": True, **status}
    answer = ask_daemon(layout, {"do": "status", "limit": limit})
    if answer is not None:
        lines += describe_transfers(answer)
        record["now"] = {name: value for name, value in answer.items() if name != "ok"}
    return Report(lines, record)


def describe(status: Mapping[str, Any], now: float) -> Iterator[str]:
    """The lines for people; `status` is what the daemon wrote, `now` in seconds since the epoch."""
    since = _ago(now - float(status.get("started") or now))
    yield f"annexd {status.get('version', '')} {status.get('phase', 'running')}, process {status['pid']}, for {since}"
    if not status.get("scan_complete"):
        yield "  the first scan is under way"
    if status.get("branch"):
        yield f"  branch {status['branch']}"
    if status.get("last_commit"):
        yield f"  last commit {_ago(now - status['last_commit'])} ago; {status.get('files_committed', 0)} files so far"
    yield (
        f"  changes waiting: {status.get('pending_changes', 0)}; "
        f"transfers: {status.get('transfers_queued', 0)} queued, "
        f"{status.get('transfers_deferred', 0)} waiting for a source, {status.get('transfers_done', 0)} done"
    )
    if status.get("longest_hold_ms"):
        yield f"  longest hold of the state's lock: {status['longest_hold_ms']} ms, by {status.get('longest_holder')}"
    for name in status.get("parked") or ():
        yield f"  not running: {name} (failed again and again; see annexd log)"
    for remote in status.get("remotes") or ():
        yield from _describe_remote(remote, now)
    for alert in status.get("alerts") or ():
        hint = f" ({alert['hint']})" if alert.get("hint") else ""
        yield f"  {alert.get('severity', 'warning')}: {alert.get('message', '')}{hint}"


def _describe_remote(remote: Mapping[str, Any], now: float) -> Iterator[str]:
    state = "reachable" if remote.get("available") else "not reachable"
    pushed = f", pushed {_ago(now - remote['last_push'])} ago" if remote.get("last_push") else ""
    yield f"  remote {remote.get('name')}: {state}{pushed}"
    for text in (remote.get("note"), remote.get("last_error")):
        if text:
            yield f"    {text}"


def _ago(seconds: float) -> str:
    seconds = max(0, int(seconds))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} s"
