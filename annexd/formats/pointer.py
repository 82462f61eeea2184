"""What stands in the work tree or in git for annexed content: pointer files and symlinks."""

from __future__ import annotations

import re

from annexd.formats.key import Key, key_in_path

MAX_POINTER = 32768
"""A file of more bytes than this is never a pointer."""

POINTER_START = b"/annex/objects/"
"""What pointers begin with, and links have in them, before the file name of their key."""

_USUAL = re.compile(
    rb"/annex/objects/([A-Z0-9_]{1,20})-s([0-9]{1,18})--([0-9A-Za-z_]{1,128}(?:\.[0-9A-Za-z_.]{0,60})?)\n"
)
"""Pointers as nearly all are: nothing in them is escaped, too long, or left out."""

_LINE_END = re.compile(rb"\r\n|\r|\n")


def parse_pointer(data: bytes) -> Key | None:
    """The key that the pointer file with this content stands for; None if it is none.

    Lines after the first are allowed when each holds "/annex/" and ends in a newline.
    Source: git-annex, pointer file format.
    """
    usual = _USUAL.fullmatch(data)
    if usual is not None:
        backend, size, name = usual.groups()
        return Key(backend, name, int(size))
    if len(data) > MAX_POINTER or POINTER_START not in data:
        return None
    end = _LINE_END.search(data)
    if end is None:
        return parse_link(data)
    rest = data[end.end() :]
    if rest and not _further_lines_allowed(rest):
        return None
    return parse_link(data[: end.start()])


def pointer_for(key: Key) -> bytes:
    """The content of the pointer file of `key`."""
    return POINTER_START + key.file_name() + b"\n"


def parse_link(target: bytes) -> Key | None:
    """The key that a symlink with this target stands for; None if it is no annex link.

    Neither depth nor hash directories are looked at, as git-annex does not look either.
    """
    if POINTER_START not in target:
        return None
    return key_in_path(target[target.rindex(b"/") + 1 :])


def link_target(path: bytes, object_path: bytes) -> bytes:
    """Target of the symlink at `path` to the object at `object_path`, both relative to the top of the work tree."""
    return b"../" * path.count(b"/") + object_path


def leads_astray(path: bytes, target: bytes) -> bool:
    """Whether a symlink with this target, at `path`, was made for another directory: it stands for a key, but does not
    go up just as many steps as `link_target` would.
    """
    is_right = target.startswith(b"../" * path.count(b"/") + b".git" + POINTER_START)
    return not is_right and parse_link(target) is not None


def _further_lines_allowed(rest: bytes) -> bool:
    return rest.endswith(b"\n") and all(b"/annex/" in line for line in rest[:-1].split(b"\n"))
