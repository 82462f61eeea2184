"""`readpresentkey`: whether a repository is recorded to have a key."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("KEY UUID")


def run(call: Invocation, options: Namespace) -> int:
    """Exit status 0 when it is, else 1."""
    from annexd.cli.seek import parse_key
    from annexd.formats.paths import from_text

    if len(options.words) != 2:
        raise UserError("Wrong number of parameters")
    key = parse_key(options.words[0])
    return 0 if from_text(options.words[1]) in call.fresh_annex().locations.locations(key) else 1
