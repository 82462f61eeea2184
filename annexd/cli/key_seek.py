"""Keys to work on instead of the files in the work tree: --all, --key, --branch, --unused, --failed, --incomplete.

Source: git-annex, options of commands that work on keys.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from annexd.annex.annexed_files import annexed, in_tree
from annexd.annex.state import AnnexState
from annexd.errors import FormatError, UserError
from annexd.formats import unused_log
from annexd.formats.branch_paths import key_of_location_log
from annexd.formats.key import Key
from annexd.formats.paths import from_text
from annexd.formats.transfer_info import Direction
from annexd.system import files
from annexd.transfer import failed_notes
from annexd.transfer.locks import running_transfers

OPTIONS = ("key", "all", "branch", "unused", "failed", "incomplete")
ONE_KIND = "Can only specify one of file names, --all, --branch, --unused, --failed --key, or --incomplete"
NO_AUTO = "Cannot use --auto or --wanted with --all, --branch, --unused, --failed --key, or --incomplete"
NO_AUTO_IF_BARE = "Cannot use --auto or --wanted in a bare repository"
NO_NAMES = "Cannot use --all or --unused or --key or --incomplete with options that match on file names."
NO_NAMES_IF_BARE = "Cannot use options that match on file names in a bare repository."
NO_BATCH = "Cannot combine batch option with file or key options"
_ABOUT_NAMES = frozenset(("include", "exclude"))


class Item(NamedTuple):
    """One thing to work on. `file` is from the top of the work tree, `shown` from the current directory.

    Both are None when only a key was asked for; `mode` is git's mode of the file, `given` the words that led here.
    `name` is what people call a key whose file is not looked at.
    """

    key: Key
    file: bytes | None = None
    shown: bytes | None = None
    mode: int | None = None
    given: tuple[str, ...] = ()
    name: bytes | None = None


def which_keys(options: Namespace, *, is_bare: bool) -> str | None:
    """The option that asks for keys, e.g. "all", which bare repositories mean without it; None: files are meant.

    Raises UserError for options that do not go together.
    """
    asked = next((name for name in OPTIONS if getattr(options, name, None)), None)
    words = getattr(options, "words", None)
    is_auto = getattr(options, "auto", False)
    if getattr(options, "batch", False) or getattr(options, "batch_keys", False):
        if asked or words:
            raise UserError(NO_BATCH)
        return None
    if is_auto and is_bare:
        raise UserError(NO_AUTO_IF_BARE)
    if asked and words:
        raise UserError(ONE_KIND)
    if asked and is_auto:
        raise UserError(NO_AUTO)
    if asked is None and is_bare and not words:
        asked = "all"
    terms = getattr(options, "matching", None) or ()
    if asked and asked != "branch" and any(term in _ABOUT_NAMES for term, _ in terms):
        raise UserError(NO_NAMES_IF_BARE if is_bare else NO_NAMES)
    return asked


def found(annex: AnnexState, options: Namespace, asked: str, direction: Direction | None) -> Iterator[Item]:
    """The items that the option `asked` names. Of failed transfers only those in `direction`. Raises UserError."""
    match asked:
        case "key":
            return iter([Item(parse_key(options.key))])
        case "branch":
            return _in_branch(annex, options.branch)
        case "unused":
            return _unused(annex)
        case "failed":
            return _failed(annex, direction)
        case "incomplete":
            return _incomplete(annex)
        case _:
            return _everything(annex)


def parse_key(word: str) -> Key:
    """The key that a word spells. Raises UserError."""
    try:
        return Key.parse(from_text(word))
    except FormatError as problem:
        raise UserError("bad key") from problem


def _everything(annex: AnnexState) -> Iterator[Item]:
    """Keys that any location log tells of."""
    levels = annex.layout.branch_levels
    seen: set[Key] = set()
    for path in annex.branch.paths():
        key = key_of_location_log(path, levels)
        if key is not None and key not in seen:
            seen.add(key)
            yield Item(key)


def _in_branch(annex: AnnexState, ref: str) -> Iterator[Item]:
    for file in annexed(annex, in_tree(annex, ref)):
        shown = os.fsencode(ref) + b":" + file.path
        yield Item(file.key, None, shown, file.mode)


def _unused(annex: AnnexState) -> Iterator[Item]:
    """What the last run of `unused` found, by whichever program it was made."""
    try:
        data = files.read_file(annex.layout.lock(b"unused"))
    except FileNotFoundError:
        return
    for line in sorted(unused_log.parse(data), key=lambda line: bytes(line.key)):
        yield Item(line.key)


def _failed(annex: AnnexState, direction: Direction | None) -> Iterator[Item]:
    """By remote, as far as they are remotes still; downloads first."""
    remotes = [remote.uuid for remote in annex.config.remotes]
    notes = [(t, info) for t, info in failed_notes.read_all(annex.layout) if t.uuid in remotes]
    notes.sort(key=lambda n: (remotes.index(n[0].uuid), n[0].direction is Direction.UPLOAD, bytes(n[0].key)))
    for transfer, info in notes:
        if direction is None or transfer.direction is direction:
            yield Item(transfer.key, name=info.file)


def _incomplete(annex: AnnexState) -> Iterator[Item]:
    """Keys whose download was broken off, and is not going on now."""
    remove_leftovers(annex)
    running = {transfer.key for transfer, _ in running_transfers(annex.layout)}
    for key in _partial(annex):
        if key not in running:
            yield Item(key)


def remove_leftovers(annex: AnnexState) -> None:
    """What is left of downloads that were done in another way goes."""
    for key in _partial(annex):
        if annex.store.is_present(key):
            with suppress(OSError):
                os.unlink(annex.layout.tmp_object(key))


def _partial(annex: AnnexState) -> list[Key]:
    found = []
    for name in sorted(_names(annex.layout.annex_dir + b"/tmp")):
        with suppress(FormatError):
            found.append(Key.from_file_name(name))
    return found


def _names(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
