"""What git makes of a file on its way into a blob: line ends, encodings, `$Id$`, other people's filters.

Source: git, gitattributes; documentation of git-hash-object, "--path".
"""

from __future__ import annotations

from annexd.git.attributes import UNSPECIFIED, CheckAttr
from annexd.git.objects import Oid
from annexd.git.repository import GitRepository

OUR_FILTER = b"annex"
_UNCHANGED = frozenset((UNSPECIFIED, b"unset"))


class Cleaner:
    """Knows which files git changes, and has it change them. One owner thread."""

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo
        self._attributes = CheckAttr(
            repo, (b"text", b"crlf", b"eol", b"ident", b"filter", b"working-tree-encoding")
        )

    def changes(self, path: bytes, *, auto: bool) -> bool:
        """Whether git may store another content than the file has; `auto` tells of core.autocrlf. Raises GitError."""
        values = self._attributes.get(path)
        if values[b"filter"] == OUR_FILTER:
            values[b"filter"] = UNSPECIFIED
        if any(value not in _UNCHANGED for value in values.values()):
            return True
        return auto and values[b"text"] != b"unset" and values[b"crlf"] != b"unset"

    def blob(self, path: bytes, data: bytes) -> Oid:
        """The blob, written, that git makes of the content. Starts a process. Raises GitError."""
        out = self._repo.run(b"hash-object", b"-w", b"--path=" + path, b"--stdin", stdin=data)
        return Oid(bytes.fromhex(out.strip().decode("ascii")))

    def reset(self) -> None:
        """Read .gitattributes files anew from now on."""
        self._attributes.reset()

    def close(self) -> None:
        """End the helper process."""
        self._attributes.close()
