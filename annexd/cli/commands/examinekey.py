"""`examinekey`: what a key says by itself."""

from __future__ import annotations

import os
from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch, add_json
from annexd.cli.invocation import Invocation
from annexd.cli.reporters.contract import Json


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[KEY ...]")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--format", metavar="FORMAT", help="control format of output")
    how.add_argument("--print0", action="store_const", dest="format", const="${key}\\0", help="nulls between keys")
    parser.add_argument("--filename", metavar="FILE", help="file associated with the key")
    add_batch(parser)
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Print each key, or what --format wants of it."""
    from annexd.cli.key_format import fill_format, key_fields
    from annexd.cli.seek import batch_words, parse_key
    from annexd.formats.pointer import pointer_for

    layout = call.annex().layout
    for word in batch_words(options) if options.batch else options.words:
        key = parse_key(word)
        fields = key_fields(key)
        fields["objectpath"] = os.fsdecode(os.path.relpath(layout.object_path(key)))
        fields["objectpointer"] = os.fsdecode(pointer_for(key))
        record: dict[str, Json] = {**fields, "error-messages": []}
        call.reporter.record(record)
        variables = fields | {"file": options.filename or "", "escaped_file": options.filename or ""}
        call.reporter.line(fill_format(options.format or "${key}\\n", variables))
    return call.finish()
