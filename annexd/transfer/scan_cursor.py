"""How far the transfer scan has come for each repository, in a file that is believed only when it is whole."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from annexd.errors import AnnexError
from annexd.formats.uuid import UUID
from annexd.git.objects import Oid
from annexd.system import files
from annexd.threads.faults import reach

_HEAD = b"annexd transfer scan 1"
_OID_LENGTH = 20
_LIMIT = 1 << 22        # bytes


class Cursor(NamedTuple):
    """Everything in this tree was looked at, by what this commit of the git-annex branch says (None: no branch yet).

    `rules` is a digest of what decides who wants what; it has to be what it was for the cursor to count.
    """

    tree: Oid
    tip: Oid | None
    rules: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """The cursors of one repository. `deferred` is the identity of the deferred downloads that belong to them."""

    us: UUID
    deferred: bytes
    cursors: Mapping[UUID, Cursor] = field(default_factory=dict)


def load(path: bytes, us: UUID, deferred: bytes) -> Progress:
    """What was saved; nothing of it when it is missing, damaged, or of another repository.

    When the deferred downloads were lost, nothing is known of what is missing here.
    """
    try:
        found = parse(files.read_file(path, limit=_LIMIT))
    except (OSError, ValueError, AnnexError):
        found = None
    if found is None or found.us != us:
        return Progress(us, deferred)
    cursors = dict(found.cursors)
    if found.deferred != deferred:
        cursors.pop(us, None)
    return Progress(us, deferred, cursors)


def save(path: bytes, progress: Progress) -> None:
    """Write it down, after everything else on this file system: it must not be the first to be there. OSError."""
    directory = os.path.dirname(path)
    files.make_dirs(directory, os.path.dirname(os.path.dirname(directory)))
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        files.sync_filesystem(fd)
    finally:
        os.close(fd)
    reach("scan-before-cursor")
    files.write_atomically(path, serialise(progress), durable=True)
    reach("scan-after-cursor")


def serialise(progress: Progress) -> bytes:
    """Lines of words in hexadecimal, the last of them a checksum."""
    lines = [_HEAD, b"us " + _hex(progress.us), b"deferred " + _hex(progress.deferred)]
    for uuid, cursor in sorted(progress.cursors.items()):
        tip = b"-" if cursor.tip is None else _hex(cursor.tip)
        lines.append(b" ".join((b"at", _hex(uuid), _hex(cursor.tree), tip, _hex(cursor.rules))))
    body = b"\n".join(lines) + b"\n"
    return body + b"sum %08x\n" % zlib.crc32(body)


def parse(data: bytes) -> Progress:
    """The inverse of `serialise`. Raises ValueError for anything else."""
    body, _, check = data.rpartition(b"sum ")
    if check != b"%08x\n" % zlib.crc32(body):
        raise ValueError("the checksum differs")
    head, us, deferred, *rest = body.splitlines()
    if head != _HEAD:
        raise ValueError("of another version")
    cursors = dict(_cursor(line) for line in rest)
    return Progress(UUID(_field(us, b"us")), _field(deferred, b"deferred"), cursors)


def _cursor(line: bytes) -> tuple[UUID, Cursor]:
    word, uuid, tree, tip, rules = line.split(b" ")
    if word != b"at":
        raise ValueError("not a cursor")
    return UUID(_unhex(uuid)), Cursor(_oid(tree), None if tip == b"-" else _oid(tip), _unhex(rules))


def _field(line: bytes, name: bytes) -> bytes:
    word, _, value = line.partition(b" ")
    if word != name:
        raise ValueError(f"no {name.decode()}")
    return _unhex(value)


def _hex(value: bytes) -> bytes:
    return value.hex().encode("ascii")


def _unhex(text: bytes) -> bytes:
    return bytes.fromhex(text.decode("ascii"))


def _oid(text: bytes) -> Oid:
    raw = _unhex(text)
    if len(raw) != _OID_LENGTH:
        raise ValueError("not an object's name")
    return Oid(raw)
