"""`cancel`: give transfers up."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.cli.steering import configure_steering, steer


def configure(parser: Parser) -> None:
    """Declare the options."""
    configure_steering(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Until they are wanted again, or the daemon starts anew."""
    return steer(call, options, "cancel")
