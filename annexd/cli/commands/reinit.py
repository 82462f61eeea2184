"""`reinit`: go on as a repository that was known before, e.g. after its disk was lost."""

from __future__ import annotations

import os
import re
from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError
from annexd.formats.uuid import UUID

_UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("UUID|DESC")


def run(call: Invocation, options: Namespace) -> int:
    """Take over the identity of that repository."""
    from annexd.annex.init import initialize

    if not options.words:
        raise UserError("Specify a UUID or a description.")
    name = " ".join(options.words)
    uuid = _uuid(call, name)
    with call.acting(name), initialize(os.getcwdb(), uuid=uuid, environ=os.environb):
        pass
    return call.finish()


def _uuid(call: Invocation, name: str) -> UUID:
    from annexd.cli.repositories import uuid_named
    from annexd.formats.paths import from_text

    if _UUID.fullmatch(from_text(name)):
        return UUID(from_text(name))
    return uuid_named(call.annex(), name)
