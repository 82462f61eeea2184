"""Annexes with very many keys, by writing trees and logs directly; content is made only where a test needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from annexd.annex.commit import new_commit
from annexd.annex.state import AnnexState
from annexd.formats.branch_paths import location_log
from annexd.formats.key import Key
from annexd.formats.pointer import link_target, pointer_for
from annexd.formats.uuid import UUID
from annexd.git.objects import BLOB, Oid
from annexd.git.tree import MODE_FILE, MODE_LINK, Trees

PER_DIRECTORY = 100


def make_key(number: int, tag: str = "") -> Key:
    """A key like those of real files; no content belongs to it."""
    digest = hashlib.sha256(f"{tag}{number}".encode()).hexdigest()
    return Key(b"SHA256E", digest.encode() + b".dat", 4096 + number % 7)


def path_of(number: int) -> bytes:
    """Where `commit_keys` puts a file."""
    return b"dir%04d/file%06d.dat" % (number // PER_DIRECTORY, number)


def commit_keys(annex: AnnexState, files: Mapping[bytes, Key | None], *, locked: bool = False) -> Oid:
    """Commit files that stand for keys (None: remove the file), without index and work tree; the commit."""
    head = annex.refs.head()
    objects = annex.objects
    tree = None
    if head.oid is not None:
        from annexd.transfer.scan_pass import tree_of_commit

        tree = tree_of_commit(annex, head.oid)
    changes = {path: None if key is None else _blob(annex, path, key, locked=locked) for path, key in files.items()}
    new = Trees(objects).update(tree, changes)
    assert new is not None, "the last file was removed"
    commit = new_commit(annex, new, [] if head.oid is None else [head.oid], b"many keys")
    objects.flush()
    assert head.ref is not None
    annex.refs.update(head.ref, commit, head.oid, b"test")
    return commit


def tell_locations(annex: AnnexState, keys: Sequence[Key], holders: Iterable[UUID], *, lacking: frozenset[Key]) -> None:
    """Location logs that differ from each other: the first of `holders` has all keys, the others all but `lacking`."""
    first, *others = holders

    def log(number: int, key: Key, _: bytes | None) -> bytes:
        time = b"%d.%06ds" % (1_700_000_000 + number // 1000, number)
        have = [first, *(() if key in lacking else others)]
        return b"".join(b"%b 1 %b\n" % (time, uuid) for uuid in sorted(have))

    changes = {location_log(key): partial(log, number, key) for number, key in enumerate(keys)}
    annex.branch.change_many(changes)


def _blob(annex: AnnexState, path: bytes, key: Key, *, locked: bool) -> tuple[int, Oid]:
    if locked:
        return MODE_LINK, annex.objects.add(BLOB, link_target(path, annex.layout.link_object_path(key)))
    return MODE_FILE, annex.objects.add(BLOB, pointer_for(key))
