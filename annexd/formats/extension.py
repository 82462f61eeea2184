"""Which part of a file's name becomes the extension of its key.

Source: git-annex, backends whose name ends in E; annex.maxextensionlength, annex.maxextensions.
"""

from __future__ import annotations

import re

_INVALID = re.compile(rb"[^A-Za-z0-9\x80-\xff]")


def key_extension(file_name: bytes, max_length: int = 4, max_count: int = 2) -> bytes:
    """The extension with its dots, e.g. b".tar.gz"; b"" for none.

    A directory in front of the name does not count. `max_length` is in bytes of one component,
    `max_count` in components.
    """
    name = file_name[file_name.rfind(b"/") + 1 :].lstrip(b".")
    taken: list[bytes] = []
    for part in reversed(name.split(b".")[1:]):
        if len(part) > max_length:
            break
        if not _INVALID.search(part):
            taken.append(part)
    return b"".join([b"." + part for part in reversed(taken[: max(0, max_count)]) if part])
