"""`sync`: commit, pull and push; content too when asked."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    from annexd.cli import syncing

    syncing.configure(parser, syncing.Parts(commit=True))
    for part, text in (("commit", "git commit"), ("pull", "git pulls from remotes"), ("push", "git pushes to remotes")):
        parser.add_argument(f"--{part}", action="store_true", default=True, help=f"the default: do {text}")
        parser.add_argument(f"--no-{part}", action="store_false", dest=part, help=f"avoid {text}")


def run(call: Invocation, options: Namespace) -> int:
    """Do the parts that were not switched off."""
    from annexd.cli import syncing

    autocommit = call.annex().config.autocommit
    parts = syncing.Parts(commit=options.commit and autocommit, pull=options.pull, push=options.push)
    return syncing.run(call, options, parts)
