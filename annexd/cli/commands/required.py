"""`required`: which content a repository must not lose."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("REPOSITORY [EXPRESSION]")


def run(call: Invocation, options: Namespace) -> int:
    """Print the expression, or store a new one."""
    from annexd.annex.repository_log import REQUIRED_LOG
    from annexd.cli.changing import expression_command

    return expression_command(call, options, REQUIRED_LOG, lambda uuid: call.annex().settings.required(uuid))
