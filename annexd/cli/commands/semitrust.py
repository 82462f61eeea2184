"""`semitrust`: copies there count once they are verified, which is the default."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[REPOSITORY ...]")


def run(call: Invocation, options: Namespace) -> int:
    """Record it for each repository named."""
    from annexd.cli.changing import change_trust
    from annexd.formats.logs.trust import TrustLevel

    return change_trust(call, options, TrustLevel.SEMITRUSTED)
