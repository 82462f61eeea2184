"""`move`: like copy, after which the content goes from where it was."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    from annexd.cli.moving import add_direction

    add_direction(parser)
    parser.set_defaults(auto=False)


def run(call: Invocation, options: Namespace) -> int:
    """Move what is there."""
    from annexd.cli.moving import Leave, run_moving

    return run_moving(call, options, Leave.NOTHING)
