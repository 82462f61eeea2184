"""`start`: the daemon, in the background."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DIR]")


def run(call: Invocation, options: Namespace) -> int:
    """Start it; returns once it has taken its place."""
    from annexd.cli.daemon_control import repository, start

    pid = start(repository(options.words))
    call.reporter.info(f"annexd started (process {pid})")
    return 0
