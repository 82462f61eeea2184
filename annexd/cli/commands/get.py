"""`get`: content of annexed files comes here."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch, add_jobs, add_json, add_keys, add_matching
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    parser.add_argument("-f", "--from", metavar="REMOTE", dest="source", help="source remote")
    parser.add_argument("-a", "--auto", action="store_true", help="get only what is wanted or lacks copies")
    add_keys(parser)
    add_batch(parser, keys=True)
    add_jobs(parser)
    add_json(parser, progress=True)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Get what is not here yet."""
    from annexd.annex.state import AnnexState
    from annexd.cli.content import Arrivals, Remotes, fetch, fetch_from
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, seek
    from annexd.cli.wanting import is_wanted_here

    annex = call.fresh_annex()
    remotes = Remotes(annex)
    source = remotes.named(options.source) if options.source else None
    arrivals = Arrivals(call)
    did = False

    def get(state: AnnexState, item: Item) -> bool:
        nonlocal did
        if state.store.is_present(item.key):
            return False
        if options.auto and not is_wanted_here(state, item):
            return False
        if source is not None and source.uuid not in state.locations.locations(item.key):
            return False
        did = True
        with call.acting(file=item.shown, key=item.key, given=item.given) as action:
            if source is not None:
                fetch_from(remotes, state, item, action, source)
            else:
                fetch(remotes, state, item, action, remotes.having(state, item.key))
            arrivals.add(state, item.key)
        return True

    try:
        for_each(call, seek(call, options), get, is_batch=options.batch or options.batch_keys)
    finally:
        arrivals.settle(annex)
        remotes.close()
    return call.conclude(anything_done=did)
