"""`get`: content of annexed files comes here."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from annexd.cli.arguments import Parser, add_batch, add_jobs, add_json, add_keys, add_matching
from annexd.cli.invocation import Invocation

if TYPE_CHECKING:
    from annexd.formats.uuid import UUID
    from annexd.remotes.contract import RemoteSpec


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    parser.add_argument("-f", "--from", metavar="REMOTE", dest="source", help="source remote")
    parser.add_argument("-a", "--auto", action="store_true", help="get only what is wanted or lacks copies")
    add_keys(parser, incomplete=True)
    add_batch(parser, keys=True)
    add_jobs(parser)
    add_json(parser, progress=True)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Get what is not here yet."""
    from annexd.annex.state import AnnexState
    from annexd.cli.content import Arrivals, Remotes, fetch, fetch_from
    from annexd.cli.key_seek import remove_leftovers
    from annexd.cli.runner import Task, run_jobs
    from annexd.cli.seek import Item, seek
    from annexd.cli.small_files import fetch_many
    from annexd.cli.wanting import is_wanted_here
    from annexd.formats.transfer_info import Direction

    annex = call.fresh_annex()
    remotes = Remotes(call)
    source = remotes.named(options.source) if options.source else None
    arrivals = Arrivals(call)

    def is_due(state: AnnexState, item: Item) -> bool:
        return not state.store.is_present(item.key) and (not options.auto or is_wanted_here(state, item))

    def get(state: AnnexState, item: Item) -> bool:
        if state.store.is_present(item.key):
            return False
        if source is not None and source.uuid not in state.locations.locations(item.key):
            return False
        with call.acting_on(item) as action:
            if source is not None:
                fetch_from(remotes, state, item, action, source)
            else:
                fetch(remotes, state, item, action, remotes.having(state, item.key))
            arrivals.add(state, item.key)
        return True

    def source_of(_: Item, there: Collection[UUID]) -> RemoteSpec | None:
        if source is not None:
            return source if source.uuid in there else None
        return next(iter(remotes.among(there)), None)

    def get_many(state: AnnexState, items: Sequence[Item]) -> Iterable[Item]:
        return fetch_many(remotes, state, items, source_of, call.acting_on, arrivals)

    try:
        task = Task(get, is_due, get_many, remotes.most_large)
        run_jobs(call, seek(call, options, Direction.DOWNLOAD), task, is_batch=options.batch or options.batch_keys)
        if options.incomplete:
            remove_leftovers(annex)
    finally:
        arrivals.settle(annex)
        remotes.close()
    return call.conclude(anything_done=call.acted)
