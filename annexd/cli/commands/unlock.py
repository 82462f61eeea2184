"""`unlock`: files that can be edited in place of symlinks."""

from __future__ import annotations

from argparse import Namespace
from itertools import islice

from annexd.cli.arguments import Parser, add_jobs, add_json, add_matching
from annexd.cli.invocation import Invocation

BATCH = 5000        # files that may be written at once


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    add_jobs(parser)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Unlock the locked ones among the files."""
    from annexd.annex.annexed_files import LINK
    from annexd.annex.commit import IndexUpdate
    from annexd.annex.relock import unlock_file, unlock_files
    from annexd.annex.state import AnnexState
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, annexed_file, seek
    from annexd.cli.staging import Staging

    annex = call.annex()
    staging = Staging()
    done: dict[bytes, IndexUpdate] = {}

    def unlock(state: AnnexState, item: Item) -> bool:
        if item.mode != LINK or item.file is None:
            return False
        with call.acting(file=item.shown, key=item.key, given=item.given):
            update = done.pop(item.file) if item.file in done else unlock_file(state, annexed_file(item))
            staging.add(state, update)
        return True

    items = seek(call, options)
    try:
        while call.jobs() == 1 and (batch := list(islice(items, BATCH))):
            files = [annexed_file(item) for item in batch if item.mode == LINK and item.file is not None]
            done = unlock_files(annex, files)
            for_each(call, batch, unlock)
        for_each(call, items, unlock)
    finally:
        for update in done.values():        # interrupted, but unlocked
            staging.add(annex, update)
        staging.settle(annex)
    if staging.any:
        call.recording()
    return call.finish()
