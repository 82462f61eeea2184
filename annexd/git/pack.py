"""Writing git packs (version 2, whole objects, no deltas) with their index (version 2).

Source: git, documentation of gitformat-pack.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from itertools import accumulate

from annexd.git.repository import GitRepository
from annexd.system.files import fdatasync, write_all
from annexd.threads.faults import reach

_TYPES = {b"commit": 1, b"tree": 2, b"blob": 3, b"tag": 4}
_IDX_MAGIC = b"\xfftOc\x00\x00\x00\x02"
_FLUSH_SIZE = 1 << 20
_LARGE = 1 << 31
_LARGEST_STORED = 0xFFFF
_STORED = struct.Struct("<HH")


def write_pack(repo: GitRepository, entries: Iterable[tuple[bytes, bytes, bytes, int]], count: int) -> bytes:
    """Write `count` objects (oid, kind, data, zlib level) as one pack and return the path of the .pack file.

    Both files are on disk before they get their names, the index last: a pack exists once its index does.
    Raises OSError; at worst a pack without index stays behind, which git's gc removes.
    """
    directory = os.path.join(repo.objects_dir, b"pack")
    with suppress(FileExistsError):
        os.mkdir(directory)     # and not what is above: on a drive that is gone nothing may be made
    mark = secrets.token_hex(6).encode()
    pack_temp = os.path.join(directory, b"tmp_pack_" + mark)
    idx_temp = os.path.join(directory, b"tmp_idx_" + mark)
    try:
        checksum, placed = _write_pack_file(repo, pack_temp, entries, count)
        _write_file(repo, idx_temp, pack_index(placed, checksum))
        stem = os.path.join(directory, b"pack-" + checksum.hex().encode())
        os.rename(pack_temp, stem + b".pack")
        reach("pack-before-index")
        os.rename(idx_temp, stem + b".idx")
    except BaseException:
        for path in (pack_temp, idx_temp):
            with suppress(FileNotFoundError):
                os.unlink(path)
        raise
    return stem + b".pack"


@lru_cache(maxsize=4096)
def pack_entry_header(kind: bytes, size: int) -> bytes:
    """Type and size in front of a packed object: 4 bits of the size, then 7 a byte, least significant first."""
    byte = _TYPES[kind] << 4 | size & 15
    size >>= 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    header.append(byte)
    return bytes(header)


def pack_index(placed: list[tuple[bytes, int, int]], pack_checksum: bytes) -> bytes:
    """Index of a pack from (oid, crc32, offset) of its entries; sorts `placed`."""
    placed.sort()
    counts = [0] * 256
    for oid, _, _ in placed:
        counts[oid[0]] += 1
    large = [offset for _, _, offset in placed if offset >= _LARGE]
    large_at = {offset: _LARGE | n for n, offset in enumerate(large)}
    data = b"".join(
        (
            _IDX_MAGIC,
            struct.pack(">256I", *accumulate(counts)),
            b"".join([oid for oid, _, _ in placed]),
            struct.pack(f">{len(placed)}I", *[crc for _, crc, _ in placed]),
            struct.pack(f">{len(placed)}I", *[large_at.get(offset, offset) for _, _, offset in placed]),
            struct.pack(f">{len(large)}Q", *large),
            pack_checksum,
        )
    )
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def _write_pack_file(
    repo: GitRepository, path: bytes, entries: Iterable[tuple[bytes, bytes, bytes, int]], count: int
) -> tuple[bytes, list[tuple[bytes, int, int]]]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        digest = hashlib.sha1(usedforsecurity=False)
        waiting = [struct.pack(">4sII", b"PACK", 2, count)]
        offset = waiting_size = 12
        placed: list[tuple[bytes, int, int]] = []
        for oid, kind, data, level in entries:
            entry = pack_entry_header(kind, len(data)) + _deflated(data, level)
            placed.append((oid, zlib.crc32(entry), offset))
            offset += len(entry)
            waiting.append(entry)
            waiting_size += len(entry)
            if waiting_size >= _FLUSH_SIZE:
                _drain(fd, digest, waiting)
                waiting_size = 0
        if len(placed) != count:
            raise ValueError(f"{count} objects announced, {len(placed)} given")
        _drain(fd, digest, waiting)
        checksum = digest.digest()
        write_all(fd, checksum)
        _finish(repo, fd)
    finally:
        os.close(fd)
    return checksum, placed


def _deflated(data: bytes, level: int) -> bytes:
    """`data` as a zlib stream. Starting a compressor costs 8 us; a block that only says "as it is" costs 1 us."""
    if level or len(data) > _LARGEST_STORED:
        return zlib.compress(data, level)
    size = len(data)
    return b"\x78\x01\x01" + _STORED.pack(size, size ^ 0xFFFF) + data + zlib.adler32(data).to_bytes(4, "big")


def _drain(fd: int, digest: hashlib._Hash, waiting: list[bytes]) -> None:
    block = b"".join(waiting)
    waiting.clear()
    digest.update(block)
    write_all(fd, block)


def _write_file(repo: GitRepository, path: bytes, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        write_all(fd, data)
        _finish(repo, fd)
    finally:
        os.close(fd)


def _finish(repo: GitRepository, fd: int) -> None:
    repo.share(fd)
    fdatasync(fd)
