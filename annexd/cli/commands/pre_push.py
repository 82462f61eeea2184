"""`pre-push`: run by git's hook of that name; there is nothing to do."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")


def run(call: Invocation, _options: Namespace) -> int:
    """Succeed: git goes on with the push."""
    return call.finish()
