"""Key names that are made from paths and urls instead of content.

Source: git-annex, WORM and URL keys.
"""

from __future__ import annotations

import re
from hashlib import md5

_LONG = 64
_OTHER = re.compile(r"[^A-Za-z0-9._/%:-]")


def worm_name(path: bytes) -> bytes:
    """The name of the WORM key of the file at `path`, relative to the top of the work tree.

    Keys of urls are named likewise.
    """
    text = path.decode("utf-8", "surrogateescape")
    sanitised = _OTHER.sub(_escaped, text).encode()
    if len(path) <= _LONG:
        return sanitised
    return sanitised[: _LONG - 33] + b"-" + md5(path, usedforsecurity=False).hexdigest().encode()


def _escaped(found: re.Match[str]) -> str:
    return ",," if found[0] == "," else f",{ord(found[0])}"
