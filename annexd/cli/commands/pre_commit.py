"""`pre-commit`: run by git's hook of that name."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")


def run(call: Invocation, _options: Namespace) -> int:
    """Put staged symlinks right that do not lead to their object, as after a rename to another directory."""
    from annexd.annex.fix_links import fix_staged_links
    from annexd.cli.staging import INDEX_SECONDS
    from annexd.threads.deadline import Deadline

    annex = call.annex()
    if not annex.layout.is_bare:
        fix_staged_links(annex, Deadline(INDEX_SECONDS))
    return call.finish()
