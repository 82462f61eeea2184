"""`accept`: what the brake holds back may go out."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")
    add_json(parser)


def run(call: Invocation, _options: Namespace) -> int:
    """Let it go; the daemon sends it within a second, or the next sync does."""
    from annexd.sync.brake import accept

    held = accept(call.annex())
    for hold in held:
        with call.acting(hold.branch) as action:
            action.note(f"of {hold.files} files {hold.deleted} deleted, {hold.rewritten} overwritten")
            action.field("deleted", hold.deleted)
            action.field("rewritten", hold.rewritten)
            action.field("files", hold.files)
    if not held:
        call.reporter.info("nothing is held back")
    return call.finish()
