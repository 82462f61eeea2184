"""Keys: the names of content."""

from __future__ import annotations

import re
from typing import NamedTuple

from annexd.errors import FormatError, UnsafeKey

MAX_EXTENSION = 64
MAX_FILE_NAME = 255

_GRAMMAR = re.compile(rb"([^-]+)(?:-s(\d+))?(?:-m(\d+))?(?:-S(\d+))?(?:-C(\d+))?--(.*)", re.DOTALL)
_ESCAPE = re.compile(rb"&(.)", re.DOTALL)
_UNESCAPED = {b"a": b"&", b"s": b"%", b"c": b":"}


class Key(NamedTuple):
    """One content: its backend, a name that the backend gave it, and what else is known.

    `size` and `chunk_size` are bytes, `mtime` is whole seconds since the epoch, `chunk_number` counts from 1.
    Equality is by fields. Source: git-annex, key format.
    """

    # A NamedTuple because a key is made for each line of every log: parsing takes 0.9 us, a frozen dataclass 2 us.
    backend: bytes
    name: bytes
    size: int | None = None
    mtime: int | None = None
    chunk_size: int | None = None
    chunk_number: int | None = None

    @classmethod
    def parse(cls, data: bytes) -> Key:
        """The key that `data` spells; the inverse of `bytes(key)`. Raises FormatError."""
        found = _GRAMMAR.fullmatch(data)
        if found is None:
            raise FormatError("this is not a key", source=_shown(data))
        backend, size, mtime, chunk_size, chunk_number, name = found.groups()
        if backend[-1] == 0x45 and len(name) > MAX_EXTENSION and not _extension_is_short(name):
            raise FormatError("the extension in this key is too long", source=_shown(data))
        try:
            if mtime is None and chunk_size is None and chunk_number is None:
                return cls(backend, name, None if size is None else int(size))
            return cls(backend, name, *(None if x is None else int(x) for x in (size, mtime, chunk_size, chunk_number)))
        except ValueError as problem:  # int() refuses thousands of digits
            raise FormatError("a number in this key is too long", source=_shown(data)) from problem

    @classmethod
    def from_file_name(cls, file_name: bytes) -> Key:
        """The key whose `file_name()` this is. Raises FormatError."""
        name = file_name.replace(b"%", b"/")
        if b"&" in name:
            name = b"/".join(_ESCAPE.sub(_unescape, part) for part in name.split(b"/"))
        return cls.parse(name)

    def __bytes__(self) -> bytes:
        backend, name, size, mtime, chunk_size, chunk_number = self
        if mtime is None and chunk_size is None and chunk_number is None:
            return b"%b--%b" % (backend, name) if size is None else b"%b-s%d--%b" % (backend, size, name)
        fields = ((b"s", size), (b"m", mtime), (b"S", chunk_size), (b"C", chunk_number))
        return b"%b%b--%b" % (backend, b"".join(b"-%b%d" % (f, v) for f, v in fields if v is not None), name)

    def __str__(self) -> str:
        return bytes(self).decode("utf-8", "backslashreplace")

    def file_name(self) -> bytes:
        """The key as one component of a path, as the object store and the logs have it."""
        return self.__bytes__().replace(b"&", b"&a").replace(b"%", b"&s").replace(b":", b"&c").replace(b"/", b"%")

    def without_chunk(self) -> Key:
        """The key of the whole content that this chunk is part of; a key of whole content is its own."""
        if self.chunk_size is None and self.chunk_number is None:
            return self
        return self._replace(chunk_size=None, chunk_number=None)


def key_in_path(file_name: bytes) -> Key | None:
    """The key that this last component of a path names; None when there is none, or it could never be a file here.

    What comes from elsewhere, in pointers, links and logs, is read with this: `check_safe` holds for the result.
    """
    if len(file_name) > MAX_FILE_NAME or b"\0" in file_name:
        return None
    try:
        key = Key.from_file_name(file_name)
    except FormatError:
        return None
    # Escaping twice as long at most; and a name that short, with a backend in it, is neither "." nor "..".
    return None if len(file_name) > MAX_FILE_NAME // 2 and len(key.file_name()) > MAX_FILE_NAME else key


def check_safe(key: Key) -> Key:
    """`key`, once it is sure that its file name stays in the directory it is put in. Raises UnsafeKey."""
    name = key.file_name()
    if len(name) > MAX_FILE_NAME:
        raise UnsafeKey(f"the file name of key {_shown(name)} is longer than {MAX_FILE_NAME} bytes")
    if b"\0" in name or b"/" in name or name in (b"", b".", b".."):
        raise UnsafeKey(f"key {_shown(name)} cannot be a file name")
    return key


def _extension_is_short(name: bytes) -> bool:
    dot = name.find(b".")
    return dot < 0 or len(name) - dot <= MAX_EXTENSION


def _unescape(found: re.Match[bytes]) -> bytes:
    return _UNESCAPED.get(found[1], found[1])


def _shown(data: bytes) -> str:
    return ascii(data[:200])[2:-1]
