"""`find`: annexed files, by default those whose content is here."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch, add_branch, add_json, add_matching
from annexd.cli.invocation import Invocation
from annexd.cli.reporters.contract import Json
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--format", metavar="FORMAT", help="control format of output")
    how.add_argument("--print0", action="store_const", dest="format", const="${file}\\0", help="nulls between files")
    add_branch(parser)
    add_batch(parser)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Print each file."""
    from annexd.annex.state import AnnexState
    from annexd.cli.key_format import fill_format, key_fields
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, seek

    annex = call.fresh_annex(needs_locations=bool(options.matching))
    if annex.layout.is_bare and not options.branch:
        raise UserError("You cannot run this command in a bare repository.")
    store = annex.store
    template = options.format or _default_format()

    def is_due(_annex: AnnexState, item: Item) -> bool:
        return bool(options.matching) or store.is_present(item.key)

    def show(_annex: AnnexState, item: Item) -> bool:
        file = os.fsdecode(item.shown or b"").removeprefix(f"{options.branch}:")
        fields = key_fields(item.key)
        record: dict[str, Json] = {**fields, "file": file, "error-messages": []}
        call.reporter.record(record)
        escaped = file.encode("unicode_escape").decode("ascii")
        call.reporter.line(fill_format(template, {**fields, "file": file, "escaped_file": escaped}))
        return True

    for_each(call, seek(call, options), show, is_due, is_batch=options.batch)
    return call.finish()


def _default_format() -> str:
    return "${escaped_file}\\n" if sys.stdout.isatty() else "${file}\\n"
