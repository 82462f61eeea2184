"""The two levels of directories that keys are spread over.

Source: git-annex, "hashing" of keys.
"""

from __future__ import annotations

from hashlib import md5

TYPE_CHECKING = False       # without importing typing: checkout workers have to be up in some milliseconds
if TYPE_CHECKING:
    from annexd.formats.key import Key

_ALPHABET = b"0123456789zqjxkmvwgpfZQJXKMVWGPF"


def lower(key: Key, levels: int = 2) -> bytes:
    """The lower-case directories of `key`, e.g. b"f87/4d5"; with one level b"f87".

    A chunk has those of its whole key.
    """
    hexed = md5(bytes(key.without_chunk()), usedforsecurity=False).hexdigest().encode()
    return hexed[:3] + b"/" + hexed[3:6] if levels == 2 else hexed[:3]


def mixed(key: Key, levels: int = 2) -> bytes:
    """The mixed-case directories of `key`, e.g. b"pX/ZJ"; with one level b"pX".

    A chunk has those of its whole key.
    """
    word = int.from_bytes(md5(bytes(key.without_chunk()), usedforsecurity=False).digest()[:4], "little")
    # Each letter takes 5 bits of a 6 bit step, and git-annex writes each pair of them the wrong way round.
    first = (_ALPHABET[word >> 6 & 31], _ALPHABET[word & 31])
    if levels != 2:
        return bytes(first)
    return bytes((*first, 0x2F, _ALPHABET[word >> 18 & 31], _ALPHABET[word >> 12 & 31]))


def both(key: Key, levels: int = 2) -> tuple[bytes, bytes]:
    """`mixed` and `lower`, in that order, for little more than the price of one."""
    return both_of(bytes(key.without_chunk()), levels)


def both_of(key: bytes, levels: int = 2) -> tuple[bytes, bytes]:
    """`both` of a whole key, given as bytes."""
    digest = md5(key, usedforsecurity=False).digest()
    word = int.from_bytes(digest[:4], "little")
    hexed = digest[:3].hex().encode()
    first = (_ALPHABET[word >> 6 & 31], _ALPHABET[word & 31])
    if levels != 2:
        return bytes(first), hexed[:3]
    second = (_ALPHABET[word >> 18 & 31], _ALPHABET[word >> 12 & 31])
    return bytes((*first, 0x2F, *second)), hexed[:3] + b"/" + hexed[3:]


def place(key: Key) -> int:
    """A number of 63 bits that orders keys as their directories of `lower` do: the upper 24 bits are those."""
    return place_of(bytes(key.without_chunk()))


def place_of(key: bytes) -> int:
    """`place` of a whole key, given as bytes."""
    return int.from_bytes(md5(key, usedforsecurity=False).digest()[:8], "big") >> 1
