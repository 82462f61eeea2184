"""The hash functions of backends, by the name of the backend that has no extension in its keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

import xxhash
from blake3 import blake3

from annexd.backends.blake2_parallel import blake2bp512, blake2sp256


class Hasher(Protocol):
    """A digest in the making."""

    def update(self, data: bytes | bytearray | memoryview, /) -> object:
        """Takes in more bytes; releases the interpreter lock for large ones."""
        ...

    def hexdigest(self) -> str:
        """The digest of all that was taken in, in lower-case hex; call it once, at the end."""
        ...


NewHasher = Callable[[], Hasher]


def _md5() -> Hasher:
    return hashlib.md5(usedforsecurity=False)


def _sha1() -> Hasher:
    return hashlib.sha1(usedforsecurity=False)


def _xxh3() -> Hasher:
    return cast(Hasher, xxhash.xxh3_64())


def _blake3() -> Hasher:
    return cast(Hasher, blake3())


SECURE: dict[bytes, NewHasher | None] = {
    b"SHA256": hashlib.sha256,
    b"SHA512": hashlib.sha512,
    b"SHA224": hashlib.sha224,
    b"SHA384": hashlib.sha384,
    b"SHA3_256": hashlib.sha3_256,
    b"SHA3_512": hashlib.sha3_512,
    b"SHA3_224": hashlib.sha3_224,
    b"SHA3_384": hashlib.sha3_384,
    b"SKEIN256": None,
    b"SKEIN512": None,
    b"BLAKE2B256": partial(hashlib.blake2b, digest_size=32),
    b"BLAKE2B512": partial(hashlib.blake2b, digest_size=64),
    b"BLAKE2B160": partial(hashlib.blake2b, digest_size=20),
    b"BLAKE2B224": partial(hashlib.blake2b, digest_size=28),
    b"BLAKE2B384": partial(hashlib.blake2b, digest_size=48),
    b"BLAKE2BP512": blake2bp512,
    b"BLAKE2S256": partial(hashlib.blake2s, digest_size=32),
    b"BLAKE2S160": partial(hashlib.blake2s, digest_size=20),
    b"BLAKE2S224": partial(hashlib.blake2s, digest_size=28),
    b"BLAKE2SP256": blake2sp256,
    b"BLAKE2SP224": None,
    b"BLAKE3_256": _blake3,
}
"""In git-annex's order. None: no well-kept library has it (BLAKE2SP224's leaves are longer than its root)."""

INSECURE: dict[bytes, NewHasher | None] = {
    b"XXH3": _xxh3,
    b"SHA1": _sha1,
    b"MD5": _md5,
}
