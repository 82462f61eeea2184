"""`lock`: symlinks in place of files that could be edited."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_jobs, add_json, add_matching
from annexd.cli.invocation import Failed, Invocation

WOULD_LOSE = (
    "Locking this file would discard any changes you have made to it. Use 'git annex add' to stage your changes. "
    "(Or, use --force to override)"
)


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    add_jobs(parser)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Lock the unlocked ones among the files."""
    from annexd.annex.annexed_files import LINK
    from annexd.annex.relock import LocalChanges, lock_file
    from annexd.annex.state import AnnexState
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, annexed_file, seek
    from annexd.cli.staging import Staging

    annex = call.annex()
    staging = Staging()

    def lock(state: AnnexState, item: Item) -> bool:
        if item.mode == LINK or item.file is None:
            return False
        with call.acting(file=item.shown, key=item.key, given=item.given) as action:
            try:
                staging.add(state, lock_file(state, annexed_file(item), discard_changes=options.force))
            except LocalChanges as problem:
                action.error(WOULD_LOSE)
                raise Failed from problem
        return True

    try:
        for_each(call, seek(call, options), lock)
    finally:
        staging.settle(annex)
    if staging.any:
        call.recording()
    return call.finish()
