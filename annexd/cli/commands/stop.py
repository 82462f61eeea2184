"""`stop`: end the daemon, ours or git-annex's assistant."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DIR]")


def run(call: Invocation, options: Namespace) -> int:
    """Ask it to end and wait until it has; no daemon is fine too."""
    from annexd.cli.daemon_control import repository, stop

    stopped = stop(repository(options.words))
    call.reporter.info("annexd stopped" if stopped else "annexd was not running")
    return 0
