"""`group`: put a repository into a group, or show the groups that it is in."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("REPOSITORY [GROUP]")


def run(call: Invocation, options: Namespace) -> int:
    """Record the group."""
    from annexd.annex.repository_log import set_groups
    from annexd.cli.changing import change_one
    from annexd.cli.repositories import uuid_named
    from annexd.formats.paths import from_text

    if len(options.words) not in (1, 2):
        raise UserError("Specify a repository and a group.")
    annex = call.annex()
    uuid = uuid_named(annex, options.words[0])
    groups = annex.settings.groups(uuid)
    if len(options.words) == 1:
        call.reporter.line(b" ".join(sorted(groups)) + b"\n")
        return 0
    added = from_text(options.words[1])
    return change_one(call, options.words[0], lambda state: set_groups(state, uuid, {*groups, added}))
