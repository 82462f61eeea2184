"""git objects: their names, and writing new ones as loose files or as one pack.

Source: git, documentation of gitformat-pack, and "Git Objects" in its user manual.
"""

from __future__ import annotations

import hashlib
import os
import threading
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple, NewType

from annexd.git.pack import write_pack
from annexd.git.repository import GitRepository
from annexd.system.files import write_all

Oid = NewType("Oid", bytes)
"""Name of an object: the raw 20 bytes of its SHA-1."""

ZERO = Oid(bytes(20))
EMPTY_TREE = Oid(bytes.fromhex("4b825dc642cb6eb9a060e54bf8d69288fbee4904"))

BLOB, TREE, COMMIT, TAG = b"blob", b"tree", b"commit", b"tag"

PACK_FROM = 100
"""That many new objects become a pack; fewer become loose files."""

# Compressing object names is slow and gains a third at best: big trees are stored as they are, gc makes deltas of them.
_STORE_TREES_FROM = 1 << 15
# Small objects, most of them trees and logs of the git-annex branch, hardly shrink: compressing them is all cost.
_STORE_UP_TO = 160


class GitObject(NamedTuple):
    """An object's kind (b"blob", b"tree", b"commit", b"tag") and content."""

    kind: bytes
    data: bytes


class FlushResult(NamedTuple):
    """What a flush wrote: names in the order they were added, and the pack's path unless they are loose."""

    oids: tuple[Oid, ...]
    pack: bytes | None


def object_id(kind: bytes, data: bytes) -> Oid:
    """Name of an object."""
    digest = hashlib.sha1(b"%b %d\0" % (kind, len(data)), usedforsecurity=False)
    digest.update(data)
    return Oid(digest.digest())


def compression_level(kind: bytes, size: int) -> int:
    """zlib level to write an object with; 0 is as it is."""
    return 0 if size <= _STORE_UP_TO or (kind == TREE and size >= _STORE_TREES_FROM) else 1


class ObjectWriter:
    """New objects, kept in memory until `flush` puts them into the repository. Owned by one thread.

    Nothing may name a pending object on disk (a ref, an index) before the flush.
    """

    def __init__(self, repo: GitRepository) -> None:
        repo.require_sha1()
        self._repo = repo
        self._pending: dict[Oid, GitObject] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def pending_bytes(self) -> int:
        """Memory that the pending contents take, in bytes."""
        return self._size

    def add(self, kind: bytes, data: bytes) -> Oid:
        """Keep an object for the next flush and return its name; adding it twice is adding it once."""
        oid = object_id(kind, data)
        if oid not in self._pending:
            self._pending[oid] = GitObject(kind, data)
            self._size += len(data)
        return oid

    def pending(self, oid: Oid) -> GitObject | None:
        """An object added since the last flush."""
        return self._pending.get(oid)

    def discard(self) -> None:
        """Forget what was added since the last flush."""
        self._pending = {}
        self._size = 0

    def flush(self) -> FlushResult:
        """Write all pending objects: few as loose files, from PACK_FROM on as one pack.

        A pack is on disk before its name is; loose files are left to the system, as git does: who needs them to
        survive a power cut syncs the file system before the ref moves. Raises OSError; the objects then stay pending.
        """
        if not self._pending:
            return FlushResult((), None)
        pack = None
        if len(self._pending) >= PACK_FROM:
            pack = write_pack(self._repo, self._pack_entries(), len(self._pending))
        else:
            for oid, content in self._pending.items():
                write_loose(self._repo, oid, content)
        written = tuple(self._pending)
        self.discard()
        return FlushResult(written, pack)

    def _pack_entries(self) -> Iterator[tuple[bytes, bytes, bytes, int]]:
        for oid, (kind, data) in self._pending.items():
            yield oid, kind, data, compression_level(kind, len(data))


def write_objects(repo: GitRepository, contents: Iterable[GitObject]) -> FlushResult:
    """Write objects at once; see ObjectWriter."""
    writer = ObjectWriter(repo)
    for kind, data in contents:
        writer.add(kind, data)
    return writer.flush()


def write_loose(repo: GitRepository, oid: Oid, content: GitObject) -> None:
    """Write one loose object; one that is there is only marked as fresh, so that git's prune keeps it."""
    name = oid.hex().encode()
    directory = os.path.join(repo.objects_dir, name[:2])
    path = os.path.join(directory, name[2:])
    try:
        os.utime(path)
        return
    except FileNotFoundError:
        pass
    except PermissionError:
        return  # somebody else's file: it exists, which is what counts
    kind, data = content
    packer = zlib.compressobj(compression_level(kind, len(data)))
    compressed = packer.compress(b"%b %d\0" % (kind, len(data))) + packer.compress(data) + packer.flush()
    # Named so that git's gc removes what a crash leaves behind, and two threads with the same object do not meet.
    temporary = os.path.join(directory, b"tmp_obj_%b%d" % (name[2:10], threading.get_native_id()))
    fd = _create(repo, temporary, directory)
    try:
        write_all(fd, compressed)
        repo.share(fd)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    os.rename(temporary, path)


def _create(repo: GitRepository, path: bytes, directory: bytes) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o444)
    except FileNotFoundError:
        try:
            os.mkdir(directory)
        except FileExistsError:
            return os.open(path, flags, 0o444)
        if repo.shared_bits:
            os.chmod(directory, 0o2711 | repo.shared_bits | (repo.shared_bits & 0o444) >> 2)
        return os.open(path, flags, 0o444)
