"""`lookupkey`: the key of a file, as git's index has it."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[FILE ...]")
    add_batch(parser)
    parser.add_argument("--ref", action="store_true", help="look up key used by git ref to file")


def run(call: Invocation, options: Namespace) -> int:
    """Print one key per file; a file that is not annexed ends the command with status 1."""
    from annexd.cli.seek import batch_words

    for word in batch_words(options) if options.batch else options.words:
        key = _key(call, word, by_ref=options.ref)
        if key is not None:
            call.reporter.line(key + b"\n")
        elif options.batch:
            call.reporter.blank()
        else:
            call.reporter.finish()
            return 1
    return call.finish()


def _key(call: Invocation, word: str, *, by_ref: bool) -> bytes | None:
    from annexd.annex.annexed_files import annexed_at
    from annexd.cli.seek import places_of
    from annexd.formats.paths import from_text
    from annexd.formats.pointer import parse_pointer

    annex = call.annex()
    if by_ref:
        blob = annex.repo.run(b"cat-file", b"blob", from_text(word), check=False)
        key = parse_pointer(blob)
        return None if key is None else bytes(key)
    try:
        file = annexed_at(annex, places_of(annex).repo_path(word))
    except UserError:
        return None
    return None if file is None else bytes(file.key)
