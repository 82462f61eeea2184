"""`log`: the daemon's log, readable; or with files, or under git-annex's name, where their content has been."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from typing import IO

from annexd.cli.arguments import Parser, add_json, add_keys, add_matching
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

FOLLOW_SECONDS = 0.25
LINES = 100
_LEADING = ("time", "level", "event")


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DIR | PATH ...]")
    add_json(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what is added to the daemon's log")
    parser.add_argument("-n", "--lines", metavar="NUMBER", help="lines to start with (100)")
    history = parser.add_argument_group("options for the history of files' locations")
    add_keys(parser)
    for name in ("since", "after", "until", "before"):
        history.add_argument(f"--{name}", metavar="DATE", help=f"show log {name} date")
    history.add_argument("--max-count", metavar="NUMBER", help="limit number of logs displayed (also -n)")
    history.add_argument("--raw-date", action="store_true", help="display seconds from unix epoch")
    history.add_argument("--gource", action="store_true", help="format output for gource")
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Print what was asked for."""
    if options.lines is not None and not options.lines.isdigit():
        raise UserError(f"bad number of lines: {options.lines}")
    if call.program != "git-annex" and _is_about_daemon(options):
        return _daemon_log(options)
    from annexd.cli.location_history import show

    options.max_count = options.max_count or options.lines
    return show(call, options)


def _is_about_daemon(options: Namespace) -> bool:
    """Whether nothing was asked that concerns files; a word that names a repository means its daemon."""
    asked = ("since", "after", "until", "before", "max_count", "raw_date", "gource", "all", "key", "branch", "matching")
    if any(getattr(options, name, None) for name in asked):
        return False
    if options.follow or not options.words:
        return True
    return len(options.words) == 1 and any(
        os.path.lexists(os.path.join(options.words[0], name)) for name in (".git", "objects")
    )


def _daemon_log(options: Namespace) -> int:
    from annexd.cli.daemon_control import layout_at, repository
    from annexd.formats.paths import display

    path = layout_at(repository(options.words)).daemon_log
    try:
        log = open(path, "rb")
    except FileNotFoundError as problem:
        raise UserError(f"there is no log yet at {display(path)}") from problem
    with log:
        lines: Iterator[bytes] = iter(deque(log, maxlen=int(options.lines or LINES)))
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
