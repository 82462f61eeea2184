"""Which files go to the annex: the expressions of annex.largefiles and annex.addunlocked.

Source: git-annex, matching expressions.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from annexd.errors import ConfigError
from annexd.formats import expression
from annexd.formats.glob import Glob
from annexd.formats.units import parse_size

HEAD = 64 * 1024
"""Bytes that are enough to tell what kind of file it is."""


@dataclass(frozen=True, slots=True)
class MatchFile:
    """A file to be matched: its path from the top, its bytes, and how to read the first `HEAD` of them."""

    path: bytes
    size: int
    read_head: Callable[[], bytes]


class FileKinds(Protocol):
    """Tells what a file is by its first bytes, as `file --mime-type` and `file --mime-encoding` do."""

    def mime_type(self, head: bytes) -> str:
        """E.g. "text/plain"."""
        ...

    def mime_encoding(self, head: bytes) -> str:
        """E.g. "us-ascii" or "binary"."""
        ...


_Test = Callable[[MatchFile], bool]


class Matcher:
    """A compiled expression. Frozen, so any thread may use it."""

    def __init__(self, text: str, node: expression.Node[_Test]) -> None:
        self.text = text
        self._node = node

    def matches(self, file: MatchFile) -> bool:
        """Whether the file matches; reads the file's head only if its kind matters."""
        return expression.evaluate(self._node, lambda test: test(file))


def compile_matcher(expr: str, kinds: FileKinds | None = None) -> Matcher:
    """The matcher that `expr` describes; an empty one matches every file.

    `kinds` answers mimetype= and mimeencoding=; without it the library python-magic does.
    Raises ConfigError for an unknown term, a bad size, and when that library is needed but not installed.
    """
    return Matcher(expr, expression.parse(expr, lambda word: _term(word, kinds)))


def _term(word: str, kinds: FileKinds | None) -> _Test:
    name, _, value = word.partition("=")
    match name:
        case "anything" if word == name:
            return lambda file: True  # noqa: ARG005
        case "nothing" if word == name:
            return lambda file: False  # noqa: ARG005
        case "include":
            wanted = Glob(value)
            return lambda file: wanted.matches(file.path)
        case "exclude":
            unwanted = Glob(value)
            return lambda file: not unwanted.matches(file.path)
        case "largerthan":
            smallest = parse_size(value)
            return lambda file: file.size > smallest
        case "smallerthan":
            largest = parse_size(value)
            return lambda file: file.size < largest
        case "mimetype" | "mimeencoding":
            return _kind_test(name, Glob(value), kinds or _Magic())
    raise ConfigError(f'"{word}" is not a term of a matching expression', hint=_TERMS)


_TERMS = "terms are include= exclude= largerthan= smallerthan= mimetype= mimeencoding= anything nothing and or not ( )"


def _kind_test(name: str, wanted: Glob, kinds: FileKinds) -> _Test:
    kind = kinds.mime_type if name == "mimetype" else kinds.mime_encoding
    return lambda file: wanted.matches(kind(file.read_head()[:HEAD]).encode())


class _Magic:
    """libmagic, through the library python-magic."""

    def __init__(self) -> None:
        try:
            magic = importlib.import_module("magic")
            self._types = magic.Magic(mime=True)
            self._encodings = magic.Magic(mime_encoding=True)
        except (ImportError, AttributeError, TypeError) as problem:
            raise ConfigError(
                "mimetype= and mimeencoding= need the library python-magic", hint="pip install python-magic"
            ) from problem

    def mime_type(self, head: bytes) -> str:
        return str(self._types.from_buffer(head))

    def mime_encoding(self, head: bytes) -> str:
        return str(self._encodings.from_buffer(head))
