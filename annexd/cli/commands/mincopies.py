"""`mincopies`: how many copies there must be, whatever else allows fewer."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[N]")


def run(call: Invocation, options: Namespace) -> int:
    """Print the number that all repositories share, or set it."""
    from annexd.annex.repository_log import MINCOPIES_LOG
    from annexd.cli.changing import copies_command

    current = call.annex().settings.mincopies()
    return copies_command(call, options, MINCOPIES_LOG, current, "global mincopies is not set\n")
