"""`calckey`: the key that a file would get, without adding it."""

from __future__ import annotations

import os
import stat
from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch
from annexd.cli.invocation import Invocation
from annexd.errors import AnnexError, ContentError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[FILE ...]")
    add_batch(parser)
    parser.add_argument("-b", "--backend", metavar="NAME", help="specify key-value backend to use")


def run(call: Invocation, options: Namespace) -> int:
    """Print one key per file; a file that has none fails the command."""
    from annexd.backends.registry import DEFAULT, backend_for_new_keys
    from annexd.cli.seek import batch_words, places_of
    from annexd.formats.paths import from_text

    annex = call.annex()
    places = places_of(annex)
    chosen = from_text(options.backend) if options.backend else annex.config.backend or DEFAULT
    backend = backend_for_new_keys(chosen)
    status = 0
    for word in batch_words(options) if options.batch else options.words:
        try:
            repo_path = places.repo_path(word)
            call.reporter.line(bytes(_key(call, backend, places.absolute(repo_path), repo_path)) + b"\n")
        except (AnnexError, OSError):
            status = 1
            if options.batch:
                call.reporter.blank()
    call.reporter.finish()
    return 0 if options.batch else status


def _key(call: Invocation, backend: object, path: bytes, repo_path: bytes) -> bytes:
    from annexd.backends.registry import Backend, hash_file, key_for_digest, worm_key

    assert isinstance(backend, Backend)
    config = call.annex().config
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ContentError("not a regular file")
        hasher = backend.hasher()
        if hasher is None:
            return bytes(worm_key(repo_path, status.st_size, status.st_mtime_ns // 1_000_000_000))
        hash_file(fd, hasher)
        name = os.path.basename(path)
        key = key_for_digest(
            backend, hasher.hexdigest(), status.st_size, name, config.max_extension_length, config.max_extensions
        )
        return bytes(key)
    finally:
        os.close(fd)
