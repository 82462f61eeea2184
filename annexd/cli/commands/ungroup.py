"""`ungroup`: take a repository out of a group, or out of all."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("REPOSITORY [GROUP]")


def run(call: Invocation, options: Namespace) -> int:
    """Record the groups that are left."""
    from annexd.annex.repository_log import set_groups
    from annexd.cli.changing import change_one
    from annexd.cli.repositories import uuid_named
    from annexd.formats.paths import from_text

    if len(options.words) not in (1, 2):
        raise UserError("Specify a repository and a group.")
    annex = call.annex()
    uuid = uuid_named(annex, options.words[0])
    left: set[bytes] = set()
    if len(options.words) == 2:
        left = set(annex.settings.groups(uuid)) - {from_text(options.words[1])}
    return change_one(call, options.words[0], lambda state: set_groups(state, uuid, left))
