"""`drop`: content goes from here or from a remote, as long as enough copies stay."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch, add_jobs, add_json, add_keys, add_matching
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    parser.add_argument("-f", "--from", metavar="REMOTE", dest="source", help="drop content from a remote")
    parser.add_argument("-a", "--auto", action="store_true", help="drop only what is not wanted and has copies enough")
    add_keys(parser)
    add_batch(parser, keys=True)
    add_jobs(parser)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Drop what is there."""
    from annexd.annex.state import AnnexState
    from annexd.cli.content import Remotes
    from annexd.cli.dropping import drop_item
    from annexd.cli.repositories import HERE
    from annexd.cli.runner import Task, run_jobs
    from annexd.cli.seek import Item, seek
    from annexd.cli.wanting import may_drop_automatically

    call.fresh_annex()
    remotes = Remotes(call)
    source = remotes.named(options.source) if options.source and options.source not in HERE else None

    def is_due(state: AnnexState, item: Item) -> bool:
        return source is not None or state.store.is_present(item.key)

    def drop(state: AnnexState, item: Item) -> bool:
        if not is_due(state, item):
            return False
        place = state.uuid if source is None or source.uuid is None else source.uuid
        if options.auto and not may_drop_automatically(state, item, place):
            return False
        with call.acting_on(item) as action:
            drop_item(remotes, state, item, action, source, options)
        return True

    try:
        task = Task(drop, is_due)
        run_jobs(call, seek(call, options), task, is_batch=options.batch or options.batch_keys)
    finally:
        remotes.close()
    return call.conclude(anything_done=call.acted)
