"""Backends: how content gets its key, and how it is checked against it.

Source: git-annex, key-value backends.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from annexd.backends import hashes
from annexd.backends.hashes import Hasher, NewHasher
from annexd.errors import ConfigError
from annexd.formats.extension import key_extension
from annexd.formats.key import Key
from annexd.formats.worm import worm_name

DEFAULT = b"SHA256E"

_READ_SIZE = 1 << 20
_WORM = b"WORM"


@dataclass(frozen=True, slots=True)
class Backend:
    """One way of naming content. Content whose backend has no hasher can be kept and moved, but not checked."""

    name: bytes
    is_cryptographically_secure: bool
    _new_hasher: NewHasher | None = None

    @property
    def has_extension(self) -> bool:
        """Whether its keys carry the extension of the file's name."""
        return self.name.endswith(b"E")

    def hasher(self) -> Hasher | None:
        """A fresh digest to feed content to; None if content cannot be checked against keys of this backend."""
        return self._new_hasher() if self._new_hasher is not None else None

    def watched(self, tell: Callable[[int], None]) -> Backend:
        """The same backend, whose digests tell how many bytes they were fed. `tell` may raise, to stop the reading."""
        new_hasher = self._new_hasher
        return self if new_hasher is None else replace(self, _new_hasher=lambda: _Watched(new_hasher(), tell))


class _Watched:
    """A digest that tells how far it is."""

    def __init__(self, hasher: Hasher, tell: Callable[[int], None]) -> None:
        self._hasher = hasher
        self._tell = tell
        self._fed = 0

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._hasher.update(data)
        self._fed += len(data)
        self._tell(self._fed)

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()


def _hash_backends() -> list[Backend]:
    found = []
    for secure, table in ((True, hashes.SECURE), (False, hashes.INSECURE)):
        for name, new_hasher in table.items():
            found += [Backend(name + b"E", secure, new_hasher), Backend(name, secure, new_hasher)]
    return found


_WITHOUT_HASH = (_WORM, b"URL", b"GITBUNDLE", b"GITMANIFEST", b"VURL")
_BACKENDS = {one.name: one for one in (*_hash_backends(), *(Backend(name, False) for name in _WITHOUT_HASH))}


def backend(name: bytes) -> Backend | None:
    """The backend of this name; None for one that we do not know, whose keys are kept all the same."""
    return _BACKENDS.get(name)


def names() -> tuple[bytes, ...]:
    """The names of all backends, in git-annex's order."""
    return tuple(_BACKENDS)


def backend_for_new_keys(name: bytes) -> Backend:
    """The backend of this name, once it is sure that files can be added with it. Raises ConfigError."""
    found = _BACKENDS.get(name)
    if found is None or (found.hasher() is None and name != _WORM):
        shown = name.decode("utf-8", "backslashreplace")
        raise ConfigError(f"annex.backend: files cannot be added with the backend {shown!r}", hint="e.g. SHA256E")
    return found


def key_for_digest(
    backend: Backend, digest_hex: str, size: int, file_name: bytes, max_ext_len: int = 4, max_ext: int = 2
) -> Key:
    """The key of content with this digest and `size` bytes that is added as `file_name`.

    The last two are annex.maxextensionlength (bytes of each) and annex.maxextensions.
    """
    name = digest_hex.encode()
    if backend.has_extension:
        name += key_extension(file_name, max_ext_len, max_ext)
    return Key(backend.name, name, size)


def key_under_name(key: Key, file_name: bytes, max_ext_len: int = 4, max_ext: int = 2) -> Key | None:
    """The key that the content of `key` gets when it is added as `file_name`; None when only reading it would tell."""
    found = _BACKENDS.get(key.backend)
    if found is None or found._new_hasher is None or key.size is None:
        return None
    digest = key.name.partition(b".")[0] if found.has_extension else key.name
    return key_for_digest(found, digest.decode("ascii", "replace"), key.size, file_name, max_ext_len, max_ext)


def worm_key(path: bytes, size: int, mtime: int) -> Key:
    """The WORM key of a file: `path` from the top of the work tree, `size` in bytes, `mtime` in whole seconds."""
    return Key(_WORM, worm_name(path), size, mtime)


def verify(key: Key, digest_hex: str) -> bool:
    """Whether content with this digest is the content of `key`; False too for keys that name no digest."""
    found = _BACKENDS.get(key.backend)
    if found is None or found._new_hasher is None:
        return False
    name = key.name.partition(b".")[0] if found.has_extension else key.name
    return name.removeprefix(b"\\") == digest_hex.encode()  # git-annex once wrote a backslash in front


def hash_file(fd: int, hasher: Hasher, progress: Callable[[int], None] | None = None) -> None:
    """Feeds the file to `hasher`, from where `fd` stands to its end. Blocks on the disk.

    `progress` is told the bytes read so far after each piece; what it raises ends the reading.
    """
    done = 0
    buffer = bytearray(_READ_SIZE)
    view = memoryview(buffer)
    while size := os.readv(fd, [buffer]):
        hasher.update(view[:size])
        done += size
        if progress is not None:
            progress(done)
