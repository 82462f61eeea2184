"""`contentlocation`: where the content of a key lies."""

from __future__ import annotations

import os
from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[KEY ...]")
    add_batch(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Print the path of each key's content; a key that is not here ends the command with status 1."""
    from annexd.cli.seek import batch_words, parse_key

    store = call.annex().store
    for word in batch_words(options) if options.batch else options.words:
        path = store.locate(parse_key(word))
        if path is not None:
            call.reporter.line(os.path.relpath(path) + b"\n")
        elif options.batch:
            call.reporter.blank()
        else:
            call.reporter.finish()
            return 1
    return call.finish()
