"""`describe`: the name that people know a repository by."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[REPOSITORY DESC]")


def run(call: Invocation, options: Namespace) -> int:
    """Record the description."""
    from annexd.annex.repository_log import describe
    from annexd.cli.changing import change_one
    from annexd.cli.repositories import uuid_named
    from annexd.formats.paths import from_text

    if len(options.words) < 2:
        raise UserError("Specify a repository and a description.")
    name, *description = options.words
    uuid = uuid_named(call.annex(), name)
    return change_one(call, name, lambda annex: describe(annex, uuid, from_text(" ".join(description))))
