"""`assist`: add everything, then sync with content."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    from annexd.cli import syncing

    syncing.configure(parser, syncing.Parts(add=True, commit=True, pull=True, push=True, content=True))


def run(call: Invocation, options: Namespace) -> int:
    """Do it."""
    from annexd.cli import syncing

    return syncing.run(call, options, syncing.Parts(add=True, commit=True, pull=True, push=True, content=True))
