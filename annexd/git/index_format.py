"""git's index file, versions 2 and 3: its records and extensions as bytes.

Records stay bytes until somebody asks for one: of ten thousand only a few are looked at.
Source: git, documentation of gitformat-index.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from annexd.errors import FormatError, UnsupportedIndex
from annexd.git.objects import Oid

_HEADER = struct.Struct(">4sII")
_FIXED = struct.Struct(">10I20sH")
_EXTENSION = struct.Struct(">4sI")
_LONG_NAME = 0xFFF
_EXTENDED = 0x4000
_STAGE_SHIFT = 12
_SECOND = 1_000_000_000
_WORD = 0xFFFFFFFF

ASSUME_VALID = 0x8000
INTENT_TO_ADD = 0x2000
SKIP_WORKTREE = 0x4000
OID_AT = slice(40, 60)
MTIME_AT = slice(8, 12)


_PADDING = tuple(bytes(count) for count in range(9))


class IndexEntry(NamedTuple):
    """One path in the index.

    Times are nanoseconds since the epoch; dev, ino, uid, gid and size are cut to 32 bits, as the file has them.
    `flags` may hold ASSUME_VALID, `ext_flags` SKIP_WORKTREE or INTENT_TO_ADD.
    """

    path: bytes
    mode: int
    oid: Oid
    ctime_ns: int = 0
    mtime_ns: int = 0
    dev: int = 0
    ino: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    stage: int = 0
    flags: int = 0
    ext_flags: int = 0

    @property
    def is_set_aside(self) -> bool:
        """Whether a person told git not to look at the file (assume-unchanged, skip-worktree, sparse checkout)."""
        return bool(self.flags & ASSUME_VALID or self.ext_flags & SKIP_WORKTREE)

    @classmethod
    def from_stat(cls, path: bytes, mode: int, oid: Oid, status: os.stat_result) -> IndexEntry:
        """An entry that git takes for unchanged as long as lstat gives this `status`."""
        return cls(
            path,
            mode,
            oid,
            status.st_ctime_ns,
            status.st_mtime_ns,
            status.st_dev & _WORD,
            status.st_ino & _WORD,
            status.st_uid & _WORD,
            status.st_gid & _WORD,
            status.st_size & _WORD,
        )


@dataclass(slots=True)
class IndexContent:
    """A parsed index: records of merged paths, those of unmerged paths by stage, and the raw TREE extension."""

    records: dict[bytes, bytes] = field(default_factory=dict)
    unmerged: dict[bytes, dict[int, bytes]] = field(default_factory=dict)
    tree_extension: bytes | None = None


def parse_index(data: bytes) -> IndexContent:
    """Raises UnsupportedIndex when only git can read it, FormatError when it is damaged."""
    if len(data) < 32:
        raise FormatError("git's index is too short", source="index")
    signature, version, count = _HEADER.unpack_from(data)
    if signature != b"DIRC":
        raise FormatError("not a git index", source="index")
    if version not in (2, 3):
        raise UnsupportedIndex(f"git's index has version {version}")
    checksum = data[-20:]
    if checksum != bytes(20) and hashlib.sha1(data[:-20], usedforsecurity=False).digest() != checksum:
        raise FormatError("git's index has a wrong checksum", source="index", hint="git reset rebuilds it")
    content = IndexContent()
    try:
        end = _parse_records(data, count, content)
        _parse_extensions(data, end, content)
    except (ValueError, IndexError, struct.error) as e:
        raise FormatError("git's index ends early", source="index") from e
    return content


def _parse_records(data: bytes, count: int, content: IndexContent) -> int:
    records = content.records
    position = 12
    for _ in range(count):
        high = data[position + 60]
        length = (high & 15) << 8 | data[position + 61]
        if high & 0x70 or length == _LONG_NAME:
            position = _parse_unusual(data, position, high, length, content)
            continue
        end = position + 62 + length
        following = position + (62 + length + 8 & ~7)
        records[data[position + 62 : end]] = data[position:following]
        position = following
    if b"" in records:  # an entry that replaces one of the shared part
        raise UnsupportedIndex("git's index is split")
    if position > len(data) - 20 or len(records) + sum(map(len, content.unmerged.values())) != count:
        raise FormatError("git's index has damaged entries", source="index")
    return position


def _parse_unusual(data: bytes, position: int, high: int, length: int, content: IndexContent) -> int:
    start = position + (64 if high & 0x40 else 62)
    end = data.index(b"\0", start) if length == _LONG_NAME else start + length
    following = position + (end - position + 8 & ~7)
    path, record = data[start:end], data[position:following]
    stage = high >> 4 & 3
    if _FIXED.unpack_from(record)[6] == 0o40000:
        raise UnsupportedIndex("git's index is sparse")
    if stage:
        content.unmerged.setdefault(path, {})[stage] = record
    else:
        content.records[path] = record
    return following


def _parse_extensions(data: bytes, position: int, content: IndexContent) -> None:
    end = len(data) - 20
    while position < end:
        name, size = _EXTENSION.unpack_from(data, position)
        position += 8
        if position + size > end:
            raise FormatError("git's index has a damaged extension", source="index")
        if name == b"TREE":
            content.tree_extension = data[position : position + size]
        elif not name[:1].isupper():  # git's rule: a capital first letter marks what may be left out
            raise UnsupportedIndex(f"git's index has the extension {name.decode('ascii', 'replace')!r}")
        position += size


def serialise_index(records: Iterable[bytes], count: int, *, extended: bool, tree_extension: bytes | None) -> bytes:
    """The index file's content; `records` in order of path and stage."""
    parts = [_HEADER.pack(b"DIRC", 3 if extended else 2, count), *records]
    if tree_extension is not None:
        parts += [_EXTENSION.pack(b"TREE", len(tree_extension)), tree_extension]
    data = b"".join(parts)
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def encode_record(entry: IndexEntry) -> bytes:
    """An entry as the index has it, padded."""
    path = entry.path
    flags = entry.flags & 0x8000 | entry.stage << _STAGE_SHIFT | min(len(path), _LONG_NAME)
    extra = b""
    if entry.ext_flags:
        flags |= _EXTENDED
        extra = struct.pack(">H", entry.ext_flags)
    fixed = _FIXED.pack(
        entry.ctime_ns // _SECOND & _WORD,
        entry.ctime_ns % _SECOND,
        entry.mtime_ns // _SECOND & _WORD,
        entry.mtime_ns % _SECOND,
        entry.dev,
        entry.ino,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.oid,
        flags,
    )
    length = 62 + len(extra) + len(path)
    return fixed + extra + path + bytes((length + 8 & ~7) - length)


def packed_record(path: bytes, mode: int, oid: Oid, packed: bytes) -> bytes:
    """An entry of a file whose status is packed as in the index, but for the mode."""
    length = 62 + len(path)
    return b"%b%b%b%b%b%b%b" % (
        packed[:24], mode.to_bytes(4, "big"), packed[28:40], oid, min(len(path), _LONG_NAME).to_bytes(2, "big"), path,
        _PADDING[(length + 8 & ~7) - length],
    )  # fmt: skip


def decode_record(path: bytes, record: bytes) -> IndexEntry:
    """The entry that a record stands for."""
    c, cn, m, mn, dev, ino, mode, uid, gid, size, oid, flags = _FIXED.unpack_from(record)
    ext_flags = struct.unpack_from(">H", record, 62)[0] if flags & _EXTENDED else 0
    return IndexEntry(
        path, mode, Oid(oid), c * _SECOND + cn, m * _SECOND + mn, dev, ino, uid, gid, size,
        flags >> _STAGE_SHIFT & 3, flags & 0x8000, ext_flags,
    )  # fmt: skip


def is_extended(record: bytes) -> bool:
    """Whether a record has the second flag word, which needs version 3."""
    return bool(record[60] & 0x40)
