"""`log`: the daemon's log, readable."""

from __future__ import annotations

import json
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from typing import IO

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

FOLLOW_SECONDS = 0.25
_LEADING = ("time", "level", "event")


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DIR]")
    add_json(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what is added")
    parser.add_argument("-n", "--lines", metavar="NUMBER", default="100", help="lines to start with (100)")


def run(_call: Invocation, options: Namespace) -> int:
    """Print the end of the log."""
    from annexd.cli.daemon_control import layout_at, repository
    from annexd.formats.paths import display

    if not options.lines.isdigit():
        raise UserError(f"bad number of lines: {options.lines}")
    path = layout_at(repository(options.words)).daemon_log
    try:
        log = open(path, "rb")
    except FileNotFoundError as problem:
        raise UserError(f"there is no log yet at {display(path)}") from problem
    with log:
        lines: Iterator[bytes] = iter(deque(log, maxlen=int(options.lines)))
        _print(lines, options)
        while options.follow:
            _wait()
            _print(_whole_lines(log), options)
    return 0


def readable(line: bytes) -> bytes:
    """One line of the log for people: time, level, event, then what else is known. Other text stays as it is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line.rstrip(b"\n")
    if not isinstance(fields, dict):
        return line.rstrip(b"\n")
    traceback = fields.pop("exception", "")
    start = " ".join(str(fields.pop(name)) for name in _LEADING if name in fields)
    rest = " ".join(f"{name}={value}" for name, value in fields.items())
    text = f"{start} {rest}".rstrip() + (f"\n{traceback}" if traceback else "")
    return text.encode("utf-8", "replace")


def _print(lines: Iterator[bytes], options: Namespace) -> None:
    import sys

    for line in lines:
        text = line.rstrip(b"\n") if options.json else readable(line)
        sys.stdout.buffer.write(text + b"\n")
    sys.stdout.buffer.flush()


def _whole_lines(log: IO[bytes]) -> Iterator[bytes]:
    while True:
        at = log.tell()
        line = log.readline()
        if not line.endswith(b"\n"):
            log.seek(at)
            return
        yield line


def _wait() -> None:
    from annexd.threads.stop_signal import StopSignal

    StopSignal().wait(FOLLOW_SECONDS)
