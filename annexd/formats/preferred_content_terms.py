"""The terms of preferred content expressions, and how they are spelled.

Source: git-annex, preferred content expressions.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from annexd.errors import ConfigError
from annexd.formats.glob import Glob, LetterCase
from annexd.formats.logs.metadata import fold
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.units import parse_size

_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_METADATA = re.compile(r"([^\W_][\w.-]*)(?:(<=|>=|<|>|=)(.*))?", re.DOTALL)

LEVELS = {
    "dead": TrustLevel.DEAD,
    "untrusted": TrustLevel.UNTRUSTED,
    "semitrusted": TrustLevel.SEMITRUSTED,
    "trusted": TrustLevel.TRUSTED,
}
"""Trust levels by name, the least trusted first."""

_RISING = list(LEVELS.values())


class Word(enum.Enum):
    """Terms without a value."""

    ANYTHING = "anything"
    NOTHING = "nothing"
    PRESENT = "present"
    SECURE_HASH = "securehash"
    UNUSED = "unused"
    IN_PREFERRED_DIR = "inpreferreddir"
    STANDARD = "standard"
    GROUP_WANTED = "groupwanted"


class NumCopiesFrom(enum.Enum):
    """Where the wanted number of copies is looked up."""

    ALL_SOURCES = "lackingcopies"
    NOT_ATTRIBUTES = "approxlackingcopies"


@dataclass(frozen=True, slots=True)
class Include:
    """The path matches."""

    glob: Glob


@dataclass(frozen=True, slots=True)
class Exclude:
    """There is a path and it does not match."""

    glob: Glob


@dataclass(frozen=True, slots=True)
class LargerThan:
    """The content has more bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class SmallerThan:
    """The content has fewer bytes."""

    size: int


@dataclass(frozen=True, slots=True)
class Copies:
    """At least `count` copies are known, counting only repositories of these trust levels and of this group."""

    count: int
    levels: frozenset[TrustLevel] | None = None
    group: bytes | None = None


@dataclass(frozen=True, slots=True)
class LackingCopies:
    """At least `count` more copies are needed; untrusted ones do not count."""

    count: int
    numcopies_from: NumCopiesFrom


@dataclass(frozen=True, slots=True)
class InBackend:
    """The key is of this backend."""

    name: bytes


@dataclass(frozen=True, slots=True)
class InAllGroup:
    """All repositories of the group have the content."""

    group: bytes


@dataclass(frozen=True, slots=True)
class OnlyInGroup:
    """A repository of the group has the content, and none outside of it has."""

    group: bytes


@dataclass(frozen=True, slots=True)
class Metadata:
    """A value of the field passes the test; the field's name is folded."""

    field: bytes
    test: Callable[[bytes], bool]


Term = (
    Word
    | Include
    | Exclude
    | LargerThan
    | SmallerThan
    | Copies
    | LackingCopies
    | InBackend
    | InAllGroup
    | OnlyInGroup
    | Metadata
)


def read_term(word: str) -> Term:
    """The term that `word` spells. Raises ConfigError."""
    name, equals, value = word.partition("=")
    if not equals:
        try:
            return Word(word)
        except ValueError:
            pass
    reader = _READERS.get(name)
    if reader is None:
        raise ConfigError(f'"{word}" is not a term of a preferred content expression')
    return reader(value)


def _number(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ConfigError(f'"{text}" is not a number of copies')
    return int(text)


def _copies(value: str) -> Copies:
    who, colon, count = value.rpartition(":")
    if not colon:
        return Copies(_number(value))
    if who in LEVELS:
        return Copies(_number(count), levels=frozenset((LEVELS[who],)))
    if who.endswith("+") and who[:-1] in LEVELS:
        lowest = _RISING.index(LEVELS[who[:-1]])
        return Copies(_number(count), levels=frozenset(_RISING[lowest:]))
    return Copies(_number(count), group=_bytes(who))


def _metadata(value: str) -> Metadata:
    found = _METADATA.fullmatch(value)
    if found is None:
        raise ConfigError(f'"metadata={value}" names no field and value')
    field, operator, wanted = found.groups()
    if operator in ("=", None):
        return Metadata(fold(_bytes(field)), Glob(wanted or "", LetterCase.IGNORED).matches)
    compare = _COMPARISONS[operator]
    return Metadata(fold(_bytes(field)), lambda data: compare(*_comparable(_text(data), wanted)))


def _comparable(left: str, right: str) -> tuple[float, float] | tuple[str, str]:
    """Numbers are compared as numbers, and all else as text."""
    try:
        return float(left), float(right)
    except ValueError:
        return left, right


_Comparable = float | str
_COMPARISONS: dict[str, Callable[[_Comparable, _Comparable], bool]] = {
    "<": lambda left, right: left < right,  # type: ignore[operator]
    ">": lambda left, right: left > right,  # type: ignore[operator]
    "<=": lambda left, right: left <= right,  # type: ignore[operator]
    ">=": lambda left, right: left >= right,  # type: ignore[operator]
}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


_READERS: dict[str, Callable[[str], Term]] = {
    "include": lambda value: Include(Glob(value)),
    "exclude": lambda value: Exclude(Glob(value)),
    "largerthan": lambda value: LargerThan(parse_size(value)),
    "smallerthan": lambda value: SmallerThan(parse_size(value)),
    "copies": _copies,
    "lackingcopies": lambda value: LackingCopies(_number(value), NumCopiesFrom.ALL_SOURCES),
    "approxlackingcopies": lambda value: LackingCopies(_number(value), NumCopiesFrom.NOT_ATTRIBUTES),
    "inbackend": lambda value: InBackend(_bytes(value)),
    "inallgroup": lambda value: InAllGroup(_bytes(value)),
    "onlyingroup": lambda value: OnlyInGroup(_bytes(value)),
    "metadata": _metadata,
}
