"""Which files are annexed, and with which keys, as git's index or a tree has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from annexd.annex.state import AnnexState
from annexd.errors import GitError, UserError
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.formats.pointer import MAX_POINTER, parse_link, parse_pointer
from annexd.git.objects import BLOB, Oid

LINK = 0o120000
_REGULAR = 0o100000
_TYPE = 0o170000
_BATCH = 1000
_MANY_PATHS = 200       # above this, asking git for all files is cheaper than a long command line


class TrackedFile(NamedTuple):
    """A file that git knows; `path` is from the top of the work tree, `mode` git's."""

    path: bytes
    mode: int
    oid: Oid


class AnnexedFile(NamedTuple):
    """A file that git knows and that stands for annexed content."""

    path: bytes
    mode: int
    oid: Oid
    key: Key

    @property
    def is_unlocked(self) -> bool:
        """Whether it is a pointer file, not a symlink."""
        return self.mode != LINK


def tracked(annex: AnnexState, paths: Sequence[bytes] = ()) -> list[TrackedFile]:
    """Files in the index at or below `paths` (none: all), sorted; unmerged ones are left out.

    Asks git itself, which reads every index format there is. Raises GitError.
    """
    limit = [b"--", *(path or b"." for path in paths)] if 0 < len(paths) <= _MANY_PATHS else []
    listing = annex.repo.run(b"--literal-pathspecs", b"ls-files", b"-z", b"-s", *limit)
    found = []
    for line in listing.split(b"\0"):
        if line:
            facts, _, path = line.partition(b"\t")
            mode, oid, stage = facts.split(b" ")
            if stage == b"0":
                found.append(TrackedFile(path, int(mode, 8), Oid(bytes.fromhex(oid.decode("ascii")))))
    return found


def in_tree(annex: AnnexState, ref: str) -> list[TrackedFile]:
    """Files in the tree of any commit or tree that git can name. Raises UserError when it cannot."""
    try:
        listing = annex.repo.run(b"ls-tree", b"-r", b"-z", b"--full-tree", b"--end-of-options", ref.encode())
    except GitError as problem:
        raise UserError(f"{display(ref.encode())} is not a branch, commit or tree") from problem
    found = []
    for line in listing.split(b"\0"):
        if line:
            facts, _, path = line.partition(b"\t")
            mode, kind, oid = facts.split(b" ")[:3]
            if kind == b"blob":
                found.append(TrackedFile(path, int(mode, 8), Oid(bytes.fromhex(oid.decode("ascii")))))
    return found


def annexed(annex: AnnexState, files: Iterable[TrackedFile]) -> Iterator[AnnexedFile]:
    """Those of the files that are annexed, in their order. Reads many blobs at a time, and no large ones."""
    waiting = iter(files)
    while batch := list(islice(waiting, _BATCH)):
        keys = _keys(annex, batch)
        for file in batch:
            key = keys.get((file.oid, file.mode == LINK))
            if key is not None:
                yield AnnexedFile(file.path, file.mode, file.oid, key)


def annexed_at(annex: AnnexState, path: bytes) -> AnnexedFile | None:
    """The annexed file at just this path of the index; None when there is none."""
    files = [file for file in tracked(annex, [path]) if file.path == path]
    return next(annexed(annex, files), None)


def _keys(annex: AnnexState, files: Sequence[TrackedFile]) -> dict[tuple[Oid, bool], Key]:
    links = dict.fromkeys(file.oid for file in files if file.mode == LINK)
    regular = dict.fromkeys(file.oid for file in files if file.mode & _TYPE == _REGULAR)
    wanted = [(oid, True) for oid in links] + [(oid, False) for oid in _small(annex, list(regular))]
    found: dict[tuple[Oid, bool], Key] = {}
    for (oid, is_link), blob in zip(wanted, annex.objects.read_many([oid for oid, _ in wanted]), strict=True):
        if blob is None or blob.kind != BLOB:
            continue
        key = parse_link(blob.data) if is_link else parse_pointer(blob.data)
        if key is not None:
            found[oid, is_link] = key
    return found


def _small(annex: AnnexState, oids: Sequence[Oid]) -> list[Oid]:
    """Those of the objects that are small enough to be pointers: files in git may be of any size."""
    if not oids:
        return []
    asked = b"".join(oid.hex().encode() + b"\n" for oid in oids)
    sizes = annex.repo.run(b"cat-file", b"--batch-check=%(objectsize)", stdin=asked).splitlines()
    return [oid for oid, size in zip(oids, sizes, strict=True) if size.isdigit() and int(size) <= MAX_POINTER]
