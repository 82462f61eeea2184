"""`copy`: content comes from a remote, or goes to one."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    from annexd.cli.moving import add_direction

    add_direction(parser)
    parser.add_argument("-a", "--auto", action="store_true", help="copy only what is wanted or lacks copies")


def run(call: Invocation, options: Namespace) -> int:
    """Copy what is not there yet."""
    from annexd.cli.moving import Leave, run_moving

    return run_moving(call, options, Leave.COPY)
