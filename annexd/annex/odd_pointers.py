"""Which blobs are pointers in another form than the usual one, so that their files are found when content comes.

Files of a key are found by the name of the blob that git-annex writes for it. But a pointer may also have CRLF, more
lines, or be a symlink's target that became a file. Those blobs are kept on a list, with the tree up to which it is
complete, so that only what differs from that tree has to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from annexd.annex.layout import RepoLayout
from annexd.annex.state import AnnexState
from annexd.errors import MergeConflict, RepositoryError
from annexd.formats.key import Key
from annexd.formats.pointer import MAX_POINTER, parse_pointer, pointer_for
from annexd.git.index import GitIndex
from annexd.git.objects import BLOB, Oid
from annexd.git.tree import Trees
from annexd.system.files import make_dirs, read_file, write_atomically

_NAME = b"/odd-pointers"
_OID_DIGITS = 40
_TYPE = 0o170000
_REGULAR = 0o100000


@dataclass(frozen=True, slots=True)
class _List:
    """The blobs found in all trees looked at, up to and including `tree`."""

    tree: Oid | None
    oids: frozenset[Oid]


def odd_blobs(state: AnnexState, index: GitIndex) -> dict[Oid, Key]:
    """The unusual pointer blobs among the files of the index, with their keys.

    Looks into the blobs that came since the last call, the first time in a repository into all. GitError, OSError.
    """
    known = _load(state.layout)
    try:
        tree = index.write_tree(state.objects)
    except MergeConflict:
        tree = None
    if tree is not None and tree != known.tree:
        oids = known.oids | _find(state, known.tree, tree)
        known = _List(tree, oids)
        _save(state.layout, known)
    found = {}
    for oid in known.oids:
        data = state.objects.read_blob(oid)
        key = None if data is None else parse_pointer(data)
        if key is not None:
            found[oid] = key
    return found


def advance(layout: RepoLayout, old: Oid | None, new: Oid, odd: Iterable[Oid]) -> None:
    """Tell that of the blobs that `new` has and `old` lacks just `odd` are unusual pointers. OSError."""
    known = _load(layout)
    if known.tree == old:
        _save(layout, _List(new, known.oids | frozenset(odd)))


def _find(state: AnnexState, old: Oid | None, new: Oid) -> frozenset[Oid]:
    trees = Trees(state.objects)
    try:
        changes = list(trees.diff(old, new))
    except RepositoryError:     # the old tree was never committed, and is gone
        changes = list(trees.diff(None, new))
    blobs = [change.new[1] for change in changes if change.new and change.new[0] & _TYPE == _REGULAR]
    small = _small(state, list(dict.fromkeys(blobs)))
    found = []
    for oid, blob in zip(small, state.objects.read_many(small), strict=True):
        if blob is not None and blob.kind == BLOB:
            key = parse_pointer(blob.data)
            if key is not None and blob.data != pointer_for(key):
                found.append(oid)
    return frozenset(found)


def _small(state: AnnexState, oids: list[Oid]) -> list[Oid]:
    """Those small enough to be pointers: files in git may be of any size."""
    if not oids:
        return []
    asked = b"".join(oid.hex().encode() + b"\n" for oid in oids)
    state.objects.flush()
    sizes = state.repo.run(b"cat-file", b"--batch-check=%(objectsize)", stdin=asked).splitlines()
    return [oid for oid, size in zip(oids, sizes, strict=True) if size.isdigit() and int(size) <= MAX_POINTER]


def _load(layout: RepoLayout) -> _List:
    """A damaged list counts as none: it is found anew."""
    try:
        lines = read_file(layout.annexd_dir + _NAME).split(b"\n")
        oids = [_oid(line) for line in lines[:-1]]
    except (FileNotFoundError, ValueError):
        return _List(None, frozenset())
    return _List(oids[0], frozenset(oids[1:])) if oids else _List(None, frozenset())


def _save(layout: RepoLayout, known: _List) -> None:
    assert known.tree is not None
    lines = [known.tree.hex(), *sorted(oid.hex() for oid in known.oids)]
    data = "".join(line + "\n" for line in lines).encode()
    path = layout.annexd_dir + _NAME
    try:
        write_atomically(path, data)
    except FileNotFoundError:
        make_dirs(layout.annexd_dir, layout.annex_dir)
        write_atomically(path, data)


def _oid(line: bytes) -> Oid:
    if len(line) != _OID_DIGITS:
        raise ValueError("not an object name")
    return Oid(bytes.fromhex(line.decode("ascii")))
