"""`resolvemerge`: resolve the conflicts of a merge that git stopped in."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Failed, Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")
    add_json(parser)


def run(call: Invocation, _options: Namespace) -> int:
    """Keep the versions of annexed files under names of their own, and commit the merge if nothing else is left."""
    from annexd.cli.staging import INDEX_SECONDS
    from annexd.cli.syncing import tell_resolved
    from annexd.formats.paths import display
    from annexd.sync.unmerged import resolve_unmerged
    from annexd.threads.deadline import Deadline

    with call.acting() as action:
        outcome = resolve_unmerged(call.annex(), Deadline(INDEX_SECONDS))
        tell_resolved(action, outcome.resolved)
        if outcome.commit is None:
            left = ", ".join(display(path) for path in outcome.left[:10]) or "nothing is in conflict"
            action.error(f"Merge conflict could not be automatically resolved: {left}")
            raise Failed
    return call.finish()
