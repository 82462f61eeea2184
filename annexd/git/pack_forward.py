"""Handing on whole packs: what was just packed for one repository need not be read and packed again for the next."""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Iterable
from contextlib import suppress

from annexd.git.objects import Oid
from annexd.git.repository import GitRepository
from annexd.system.files import fdatasync, read_file, write_all

LARGEST = 32 << 20      # bytes of a pack that is read into memory to be copied
LARGEST_INDEX = 4 << 20
WANTED_SHARE = 0.5      # of a pack's objects that must be wanted for the pack to be copied
_IDX_MAGIC = b"\xfftOc\x00\x00\x00\x02"
_OIDS_AT = 8 + 256 * 4


class PackForwarder:
    """Copies packs of one repository into another on this machine. Owned by one thread. Each pack is looked at once."""

    def __init__(self, source: GitRepository, other: GitRepository) -> None:
        self._from = os.path.join(source.objects_dir, b"pack")
        self._to = os.path.join(other.objects_dir, b"pack")
        self._other = other
        self._looked_at: set[bytes] = set()

    def forward(self, wanted: Iterable[Oid]) -> set[Oid]:
        """Copy the new packs that consist mostly of `wanted` objects; the objects that need not be sent any more."""
        needed = set(wanted)
        there: set[Oid] = set()
        for stem in self._stems():
            if stem in self._looked_at:
                continue
            self._looked_at.add(stem)
            with suppress(FileNotFoundError):       # gc removed it
                idx = os.path.join(self._from, stem + b".idx")
                oids = pack_oids(idx) if os.stat(idx).st_size <= LARGEST_INDEX else set()
                if oids and len(needed & oids) >= WANTED_SHARE * len(oids) and self._copy(stem):
                    there |= oids
        return there

    def _stems(self) -> list[bytes]:
        try:
            names = os.listdir(self._from)
        except FileNotFoundError:
            return []
        return [name[:-4] for name in names if name.startswith(b"pack-") and name.endswith(b".idx")]

    def _copy(self, stem: bytes) -> bool:
        """The index last: a pack exists once its index does."""
        pack = os.path.join(self._from, stem + b".pack")
        if os.stat(pack).st_size > LARGEST:
            return False
        with suppress(FileExistsError):
            os.mkdir(self._to)      # and not what is above: on a drive that is gone nothing may be made
        for ending in (b".pack", b".idx"):
            target = os.path.join(self._to, stem + ending)
            if not os.path.exists(target):
                self._write(read_file(os.path.join(self._from, stem + ending)), target)
        return True

    def _write(self, data: bytes, target: bytes) -> None:
        temp = os.path.join(self._to, b"tmp_forward_" + secrets.token_hex(6).encode())
        fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            try:
                write_all(fd, data)
                self._other.share(fd)
                fdatasync(fd)
            finally:
                os.close(fd)
            os.rename(temp, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temp)
            raise


def pack_oids(idx_path: bytes) -> set[Oid]:
    """The objects in a pack, by its index, version 2; empty for any other. OSError.

    Source: git, documentation of gitformat-pack.
    """
    data = read_file(idx_path)
    if not data.startswith(_IDX_MAGIC) or len(data) < _OIDS_AT:
        return set()
    (count,) = struct.unpack_from(">I", data, _OIDS_AT - 4)
    end = _OIDS_AT + 20 * count
    return {Oid(data[at : at + 20]) for at in range(_OIDS_AT, end, 20)} if len(data) >= end else set()
