"""Whether a preferred content expression can be read at all, before it is stored for every repository."""

from __future__ import annotations

import re

from annexd.errors import FormatError

_TOKENS = re.compile(rb"\(|\)|[^\s()]+")
_ALONE = frozenset((
    b"anything", b"nothing", b"present", b"inpreferreddir", b"standard", b"groupwanted", b"securehash", b"unused",
    b"locked", b"unlocked", b"expected-present",
))
_WITH_VALUE = frozenset((
    b"include", b"exclude", b"includesamecontent", b"excludesamecontent", b"copies", b"lackingcopies",
    b"approxlackingcopies", b"inbackend", b"inallgroup", b"onlyingroup", b"metadata", b"url", b"largerthan",
    b"smallerthan", b"mimetype", b"mimeencoding", b"balanced", b"fullybalanced", b"sizebalanced", b"fullysizebalanced",
))


def check_expression(expression: bytes) -> None:
    """Raises FormatError, with the wording of git-annex, for a term or an order of terms that nobody can read."""
    depth = 0
    wants_term = False      # behind "not", "and", "or"
    for token in _TOKENS.findall(expression):
        if token in (b"and", b"or"):
            wants_term = True
        elif token == b"not":
            wants_term = True
        elif token == b"(":
            depth, wants_term = depth + 1, False
        elif token == b")":
            depth -= 1
            if depth < 0 or wants_term:
                raise _failure(token)
        else:
            _check_term(token)
            wants_term = False
    if depth or wants_term:
        raise _failure(expression.split()[-1])


def _check_term(token: bytes) -> None:
    name, equals, _value = token.partition(b"=")
    if name in _WITH_VALUE and (equals or name.endswith(b"balanced")):
        return
    if token in _ALONE:
        return
    raise _failure(token)


def _failure(token: bytes) -> FormatError:
    return FormatError(f'Parse error: Parse failure: near "{token.decode("utf-8", "backslashreplace")}"')
