"""`init`: make this git repository an annex."""

from __future__ import annotations

import os
from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[DESC]")
    parser.add_argument("--version", metavar="VALUE", help="override default annex.version")
    parser.add_argument("--autoenable", action="store_true", help="accepted; there are no special remotes yet")
    parser.add_argument("--no-autoenable", action="store_false", dest="autoenable", help="the same")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Initialise, or complete what is there."""
    from annexd.annex.init import initialize
    from annexd.formats.paths import from_text

    if options.version is not None and not options.version.isdigit():
        raise UserError(f"bad version: {options.version}")
    version = int(options.version) if options.version else None
    description = " ".join(options.words)
    recorded = False
    with call.acting(description) as action:
        before = _tip()
        with initialize(
            os.getcwdb(), from_text(description) or None, version=version, environ=os.environb, warn=action.warning
        ) as annex:
            recorded = annex.branch.tip() != before
    status = call.finish()
    if recorded and status == 0:
        call.recording()
    return status


def _tip() -> bytes | None:
    """Where the git-annex branch is now."""
    from annexd.git.refs import Refs
    from annexd.git.repository import GitRepository

    refs = Refs(GitRepository.discover(os.getcwdb(), os.environb))
    try:
        return refs.read(b"refs/heads/git-annex")
    finally:
        refs.close()
