"""`run`: the daemon, in the foreground."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DIR]")


def run(_call: Invocation, options: Namespace) -> int:
    """Sync until SIGTERM or Ctrl-C; the exit status of the daemon."""
    from annexd.assistant import daemon
    from annexd.cli.daemon_control import repository

    return daemon.run(repository(options.words), foreground=True)
