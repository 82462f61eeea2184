"""Globs as expressions have them: "*" matches "/" too.

Source: git-annex, include= and exclude= of matching expressions.
"""

from __future__ import annotations

import enum
import re

_TOKENS = re.compile(r"\*|\?|\[[!^]?\]?[^\]]*\]|.", re.DOTALL)


class LetterCase(enum.Enum):
    """Whether letter case counts."""

    COUNTS = 0
    IGNORED = re.IGNORECASE


class Glob:
    """A compiled glob."""

    def __init__(self, pattern: str, letter_case: LetterCase = LetterCase.COUNTS) -> None:
        self.pattern = pattern
        text = "".join(_translated(token) for token in _TOKENS.findall(pattern))
        try:
            self._regex = re.compile(text, re.DOTALL | letter_case.value)
        except re.error:  # a range that runs backwards: such a glob stands for itself
            self._regex = re.compile(re.escape(pattern), letter_case.value)

    def matches(self, data: bytes) -> bool:
        """Whether all of `data` matches; a "?" stands for one character, not one byte."""
        return self._regex.fullmatch(data.decode("utf-8", "surrogateescape")) is not None


def _translated(token: str) -> str:
    if token == "*":
        return ".*"
    if token == "?":
        return "."
    if len(token) == 1:
        return re.escape(token)
    negated = token[1] in "!^" and len(token) > 3
    members = token[2 if negated else 1 : -1].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    members = members.replace("&", "\\&").replace("~", "\\~").replace("|", "\\|")
    return f"[{'^' if negated else ''}{members if negated or members[:1] != '^' else chr(92) + members}]"
