"""`smudge`: git's filters for single files, and `--update`, which puts contents into files that were checked out."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

_CHUNK = 1 << 16


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("(FILE [--clean] | --update)")
    parser.add_argument("--clean", action="store_true", help="clean filter")
    parser.add_argument("--update", action="store_true", help="populate annexed worktree files")


def run(call: Invocation, options: Namespace) -> int:
    """Filter standard input to standard output, or fill files."""
    from annexd.formats.paths import from_text

    if options.update:
        return _update(call)
    if len(options.words) != 1:
        raise UserError("smudge takes one FILE, or --update")
    path = from_text(options.words[0])
    return _clean(call, path) if options.clean else _smudge(call, path)


def _clean(call: Invocation, path: bytes) -> int:
    from annexd.annex.filter import Filters
    from annexd.cli.filtering import open_annex

    filters = Filters(open_annex(call))
    try:
        job = filters.clean(path)
        while data := os.read(0, _CHUNK):
            job.feed(data)
        for piece in job.output():
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    finally:
        filters.close()
    return 0


def _smudge(call: Invocation, path: bytes) -> int:
    from annexd.annex.filter import Filters
    from annexd.cli.filtering import open_annex

    filters = Filters(open_annex(call))
    try:
        first = True
        while data := os.read(0, _CHUNK):
            if first:
                filters.smudge(path, data)
            first = False
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    finally:
        filters.close()
    return 0


def _update(call: Invocation) -> int:
    from annexd.annex.smudge_update import fill_checked_out
    from annexd.formats.paths import display

    for path, reason in fill_checked_out(call.annex()):
        call.reporter.error(f"{display(path)}: {reason}")
    return call.finish()
