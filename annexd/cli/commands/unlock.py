"""`unlock`: files that can be edited in place of symlinks."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_jobs, add_json, add_matching
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    add_jobs(parser)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Unlock the locked ones among the files."""
    from annexd.annex.annexed_files import LINK
    from annexd.annex.relock import unlock_file
    from annexd.annex.state import AnnexState
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, annexed_file, seek
    from annexd.cli.staging import Staging

    annex = call.annex()
    staging = Staging()

    def unlock(state: AnnexState, item: Item) -> bool:
        if item.mode != LINK or item.file is None:
            return False
        with call.acting(file=item.shown, key=item.key, given=item.given):
            staging.add(state, unlock_file(state, annexed_file(item)))
        return True

    try:
        for_each(call, seek(call, options), unlock)
    finally:
        staging.settle(annex)
    if staging.any:
        call.recording()
    return call.finish()
