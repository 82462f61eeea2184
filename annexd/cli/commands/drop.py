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
    from annexd.cli.dropping import copies_wanted, say_unsafe, witnesses
    from annexd.cli.repositories import HERE
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, seek
    from annexd.cli.wanting import may_drop_automatically
    from annexd.errors import NotEnoughCopies
    from annexd.transfer.dropping import drop_here, drop_there

    call.fresh_annex()
    remotes = Remotes(call)
    source = remotes.named(options.source) if options.source and options.source not in HERE else None
    did = False

    def drop(state: AnnexState, item: Item) -> bool:
        nonlocal did
        if source is None and not state.store.is_present(item.key):
            return False
        place = state.uuid if source is None or source.uuid is None else source.uuid
        if options.auto and not may_drop_automatically(state, item, place):
            return False
        did = True
        with call.acting(file=item.shown, key=item.key, given=item.given) as action:
            if source is not None:
                action.note(f"from {source.name}...")
            copies = copies_wanted(state, item, options)
            others = witnesses(remotes, state, item, without=source)
            try:
                if source is None:
                    drop_here(state, item.key, copies, others)
                else:
                    drop_there(state, item.key, copies, remotes.live(state, source), others)
            except NotEnoughCopies as problem:
                raise say_unsafe(remotes, state, item, action, problem, lost=[place]) from problem
        return True

    try:
        for_each(call, seek(call, options), drop, is_batch=options.batch or options.batch_keys)
    finally:
        remotes.close()
    return call.conclude(anything_done=did)
