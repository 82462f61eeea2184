"""Paths in the work tree or a branch, as git has them: bytes, relative, separated by "/"."""

from __future__ import annotations

import os
import re

from annexd.errors import UnsafePath

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SUSPECT = re.compile(rb"\0|(?:^|/)(?:\.|\.\.|\.git|)(?:/|$)", re.IGNORECASE)


def check_repo_path(path: bytes) -> bytes:
    """`path`, once it is sure that it names something inside the work tree and outside the git directory.

    Raises UnsafePath for absolute paths, empty, "." and ".." components, ".git" in any letter case, and NUL.
    """
    if _SUSPECT.search(path):
        raise UnsafePath(f"{display(path)!r} is not a path inside the work tree")
    return path


def display(path: bytes) -> str:
    """`path` for the eyes of people: UTF-8 where it is, and escapes for all that could upset a terminal."""
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else _CONTROL.sub(_escaped, text)


def to_text(path: bytes) -> str:
    """`path` as libraries that want text take it; nothing is lost."""
    return os.fsdecode(path)


def from_text(path: str) -> bytes:
    """The inverse of `to_text`."""
    return os.fsencode(path)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
