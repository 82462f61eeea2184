"""`restart`: stop, then start."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DIR]")


def run(call: Invocation, options: Namespace) -> int:
    """End the daemon if there is one, and start a new one."""
    from annexd.cli.daemon_control import repository, start, stop

    path = repository(options.words)
    stop(path)
    call.reporter.info(f"annexd started (process {start(path)})")
    return 0
