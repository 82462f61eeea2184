"""`post-receive`: run by git's hook of that name, after somebody pushed to this repository."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")


def run(call: Invocation, _options: Namespace) -> int:
    """Merge the git-annex branch that was pushed. The work tree stays as it is."""
    call.fresh_annex()
    return call.finish()
