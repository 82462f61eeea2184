"""`unannex`: undo an add; the file stays, with its content, and git forgets it."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_json, add_matching
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Take files out of the annex whose content is here; the object stays, for others may use it."""
    from annexd.annex.adding import removal
    from annexd.annex.annexed_files import LINK
    from annexd.annex.relock import unlock_file
    from annexd.annex.state import AnnexState
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, annexed_file, seek
    from annexd.cli.staging import Staging

    annex = call.annex()
    staging = Staging()

    def unannex(state: AnnexState, item: Item) -> bool:
        if item.file is None or not state.store.is_present(item.key):
            return False
        with call.acting(file=item.shown, key=item.key, given=item.given):
            if item.mode == LINK:
                unlock_file(state, annexed_file(item))
            staging.add(state, removal(item.file))
        return True

    try:
        for_each(call, seek(call, options), unannex)
    finally:
        staging.settle(annex)
    return call.conclude_changes(staged=staging.any)
