"""`restage`: git's index learns of files that got or lost their content while it was locked."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")


def run(call: Invocation, _options: Namespace) -> int:
    """Do what was put off."""
    from annexd.annex.commit import take_restaged
    from annexd.cli.staging import INDEX_SECONDS
    from annexd.threads.deadline import Deadline

    annex = call.annex()
    with call.acting(), annex.index.editing(Deadline(INDEX_SECONDS)) as edit:
        take_restaged(annex, edit)
        edit.save()
    return call.finish()
