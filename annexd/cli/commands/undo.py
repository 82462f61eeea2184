"""`undo`: take back changes, in a new commit; what was there stays in the history."""

from __future__ import annotations

import time
from argparse import Namespace
from typing import TYPE_CHECKING

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

if TYPE_CHECKING:
    from annexd.cli.reporters.contract import Action
    from annexd.cli.undoing import Undone


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    parser.add_argument("--since", metavar="TIME", help="take back all since then, as 10m, 2h, 2026-11-20T18:30")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Take back the last change to each path; with --since all changes since then, to all files if none is named."""
    from annexd.annex.adding import untracked_below
    from annexd.cli.restoring import commit_first, head_commit
    from annexd.cli.seek import places_of
    from annexd.cli.undoing import last_change, parse_moment, since

    if not options.words and options.since is None:
        raise UserError("say what to undo: a path, or --since TIME")
    annex = call.annex()
    head_commit(annex)
    places = places_of(annex)
    paths = [(word, places.repo_path(word)) for word in options.words]
    unknown = untracked_below(annex.repo, [path for _, path in paths]) if paths else []
    if unknown:
        names = b" ".join(map(places.shown, unknown)).decode("utf-8", "surrogateescape")
        raise UserError(f"Cannot undo changes to files that are not checked into git: {names}")
    moment = None if options.since is None else parse_moment(options.since, time.time())
    commit_first(call)
    if moment is not None:
        with call.acting(" ".join(options.words), given=options.words) as action:
            head = head_commit(annex)
            _put_back(call, since(annex, head, moment, [path for _, path in paths]), f"since {options.since}", action)
    else:
        for word, path in paths:
            with call.acting(word, given=[word]) as action:
                _put_back(call, last_change(annex, head_commit(annex), path), word, action)
    return call.conclude(anything_done=True)


def _put_back(call: Invocation, undone: Undone, what: str, action: Action) -> None:
    from annexd.cli.restoring import put_back
    from annexd.formats.paths import from_text

    if undone:
        put_back(call, undone, b"undo of " + from_text(what), action)
    action.note(f"{len(undone)} {'file' if len(undone) == 1 else 'files'} changed back" if undone else "no change")
    action.field("changed", len(undone))
