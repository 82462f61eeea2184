"""`fromkey`: a file for a key that is known already."""

from __future__ import annotations

import os
from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import RefusedError, UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[KEY PATH ...]")
    add_batch(parser)
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Make and stage a symlink for each pair of key and path."""
    from annexd.cli.seek import batch_words
    from annexd.cli.staging import Staging

    annex = call.annex()
    staging = Staging()
    try:
        if options.batch:
            for line in batch_words(options):
                key, _, path = line.partition(" ")
                _make(call, options, staging, key, path)
        else:
            if not options.words or len(options.words) % 2:
                raise UserError("specify a key and a dest file")
            for key, path in zip(options.words[::2], options.words[1::2], strict=True):
                _make(call, options, staging, key, path)
    finally:
        staging.settle(annex)
    return call.conclude_changes(staged=staging.any)


def _make(call: Invocation, options: Namespace, staging: object, word: str, target: str) -> None:
    from annexd.annex.fromkey import link_to_key
    from annexd.cli.seek import parse_key, places_of
    from annexd.cli.staging import Staging

    assert isinstance(staging, Staging)
    annex = call.annex()
    key = parse_key(word)
    if not options.force and not annex.store.is_present(key):
        raise RefusedError(f"key ({key}) is not present in backend (use --force to override this sanity check)")
    with call.acting(file=os.fsencode(target), key=key, given=[word, target]):
        update = link_to_key(annex, places_of(annex).repo_path(target), key)
        if update is not None:
            staging.add(annex, update)
