"""Which files or keys a command works on: paths, --all, --key, --branch, --batch, and matching options."""

from __future__ import annotations

import bisect
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from annexd.annex.annexed_files import AnnexedFile, TrackedFile, annexed, tracked
from annexd.annex.state import AnnexState
from annexd.cli import key_seek
from annexd.cli.invocation import Invocation
from annexd.cli.key_seek import Item, parse_key
from annexd.cli.matching import Candidate, Predicate, compile_matching, needs_locations
from annexd.cli.places import Places
from annexd.errors import UserError
from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.git.objects import Oid

__all__ = [
    "Item", "annexed_file", "batch_words", "files_named", "parse_key", "places_of", "report_unmatched", "seek",
    "wanted_copies",
]  # fmt: skip

_BATCH = 500


def seek(call: Invocation, options: Namespace, direction: Direction | None = None) -> Iterator[Item]:
    """The items to work on, in git-annex's order. Words that match nothing are reported and counted as failures.

    With --failed, only what failed in `direction` is due. Raises UserError for options that do not go together or
    cannot be understood.
    """
    annex = call.annex()
    terms = getattr(options, "matching", None)
    predicate = compile_matching(annex, terms, lambda path: wanted_copies(annex, path))
    items = _all_items(call, options, direction)
    if predicate is None:
        return items
    return _matching(annex, items, predicate, ahead=needs_locations(terms))


def batch_words(options: Namespace) -> Iterator[str]:
    """The lines of standard input; NUL-separated with -z."""
    if options.null:
        for word in sys.stdin.buffer.read().split(b"\0"):
            if word:
                yield os.fsdecode(word)
        return
    for line in sys.stdin.buffer:
        yield os.fsdecode(line.rstrip(b"\n"))


def wanted_copies(annex: AnnexState, path: bytes | None) -> int:
    """numcopies of a file."""
    from annexd.annex.drop import numcopies_for

    return numcopies_for(annex, path)


def annexed_file(item: Item) -> AnnexedFile:
    """The file that an item of the work tree stands for."""
    assert item.file is not None and item.mode is not None
    return AnnexedFile(item.file, item.mode, Oid(b""), item.key)


def files_named(call: Invocation, words: Sequence[str]) -> Iterator[tuple[TrackedFile, tuple[str, ...]]]:
    """Files of the index that the words name, each once, with the word; words without files are reported."""
    annex = call.annex()
    places = places_of(annex)
    if not words:
        for file in tracked(annex, [places.here()] if places.here() else []):
            yield file, (os.fsdecode(places.shown(file.path)),)
        return
    paths = [(word, places.repo_path(word)) for word in words]
    files = tracked(annex, [path for _, path in paths])
    names = [file.path for file in files]
    done: set[bytes] = set()
    for word, path in paths:
        found = list(_below(files, names, path))
        if not found and path != b"":
            report_unmatched(call, word)
        for file in found:
            if file.path not in done:
                done.add(file.path)
                yield file, (word,)


def report_unmatched(call: Invocation, word: str) -> None:
    """Say that no file of the index has this name."""
    text = f"error: pathspec '{word}' did not match any file(s) known to git\nDid you forget to 'git add'?\n"
    call.reporter.write_error(text)
    call.reporter.failed()


def places_of(annex: AnnexState) -> Places:
    """Paths as seen from the current directory. Raises UserError in a bare repository."""
    if annex.layout.work_tree is None:
        raise UserError("You cannot run this command in a bare repository.")
    return Places(annex.layout.work_tree, os.getcwdb())


def _all_items(call: Invocation, options: Namespace, direction: Direction | None) -> Iterator[Item]:
    annex = call.annex()
    asked = key_seek.which_keys(options, is_bare=annex.layout.is_bare)
    if asked:
        return key_seek.found(annex, options, asked, direction)
    if getattr(options, "batch_keys", False):
        return (Item(parse_key(word), given=(word,)) for word in batch_words(options))
    if getattr(options, "batch", False):
        return _batch_items(call, options)
    return _work_tree_items(call, options.words)


def _work_tree_items(call: Invocation, words: Sequence[str]) -> Iterator[Item]:
    annex = call.annex()
    places = places_of(annex)
    named = iter(files_named(call, words))
    while batch := list(islice(named, _BATCH)):
        given = {file.path: word for file, word in batch}
        for file in annexed(annex, [file for file, _ in batch]):
            if os.path.lexists(places.absolute(file.path)):
                yield _item(places, file, given[file.path])


def _batch_items(call: Invocation, options: Namespace) -> Iterator[Item]:
    """One file per line; a line that names no annexed file is answered by an empty line."""
    annex = call.annex()
    places = places_of(annex)
    for word in batch_words(options):
        path = places.repo_path(word)
        found = [file for file in tracked(annex, [path]) if file.path == path]
        file = next(annexed(annex, found), None)
        if file is None:
            call.reporter.blank()
        else:
            yield _item(places, file, (word,))


def _item(places: Places, file: AnnexedFile, given: tuple[str, ...]) -> Item:
    return Item(file.key, file.path, places.shown(file.path), file.mode, given)


def _below(files: Sequence[TrackedFile], names: Sequence[bytes], path: bytes) -> Iterator[TrackedFile]:
    """The file at `path`, or the files below that directory; `names` are the sorted paths of `files`."""
    if path == b"":
        yield from files
        return
    at = bisect.bisect_left(names, path)
    if at < len(names) and names[at] == path:
        yield files[at]
        return
    prefix = path + b"/"
    for at in range(bisect.bisect_left(names, prefix), len(names)):
        if not names[at].startswith(prefix):
            return
        yield files[at]


def _matching(annex: AnnexState, items: Iterator[Item], predicate: Predicate, *, ahead: bool) -> Iterator[Item]:
    size = _BATCH if ahead else 1
    while batch := list(islice(items, size)):
        known = annex.locations.locations_many([item.key for item in batch]) if ahead else None
        for item in batch:
            if predicate(_candidate(annex, item, known)):
                yield item


def _candidate(annex: AnnexState, item: Item, known: dict[Key, frozenset[UUID]] | None) -> Candidate:
    locations: Callable[[], frozenset[UUID]]
    if known is None:
        def locations() -> frozenset[UUID]:
            return annex.locations.locations(item.key)
    else:
        found = known.get(item.key, frozenset())

        def locations() -> frozenset[UUID]:
            return found

    is_unlocked = None if item.mode is None else item.mode != 0o120000
    return Candidate(item.key, item.file, item.shown, is_unlocked, locations)
