"""`setpresentkey`: record that a repository has a key, or has it not."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("KEY UUID [1|0]")
    add_batch(parser)
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Record it in the journal, which the next command commits."""
    from annexd.cli.seek import batch_words

    if options.batch:
        for line in batch_words(options):
            _record(call, line.split(" "))
    else:
        _record(call, options.words)
    return call.finish()


def _record(call: Invocation, words: list[str]) -> None:
    from annexd.annex.location_log import Presence
    from annexd.cli.seek import parse_key
    from annexd.formats.paths import from_text
    from annexd.formats.uuid import UUID

    if len(words) != 3:
        raise UserError("Wrong number of parameters")
    if words[2] not in ("0", "1"):
        raise UserError("status must be 1 or 0")
    key = parse_key(words[0])
    with call.acting(words[0], key=key, given=words):
        status = Presence.PRESENT if words[2] == "1" else Presence.MISSING
        call.annex().locations.record(key, UUID(from_text(words[1])), status)
