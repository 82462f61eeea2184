"""Paths as people type and read them, against paths from the top of the work tree."""

from __future__ import annotations

import os

from annexd.errors import UserError
from annexd.formats.paths import from_text


class Places:
    """Translates between the two, for one current directory."""

    def __init__(self, top: bytes, cwd: bytes) -> None:
        self.top = os.path.realpath(top)
        self._cwd = os.path.realpath(cwd)
        self._inside = self._cwd == self.top or self._cwd.startswith(self.top + b"/")
        self._prefix = self._cwd[len(self.top) + 1 :] if self._inside else b""

    def repo_path(self, word: str) -> bytes:
        """The path from the top that `word` means; b"" is the top itself. Raises UserError outside the work tree."""
        path = os.path.normpath(os.path.join(self._cwd, from_text(word)))
        found = self._below_top(path)
        if found is None and word.startswith("/"):
            # The same place by another name, through a symlink above the work tree.
            found = self._below_top(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))
        if found is None:
            raise UserError(f"{word} is outside repository at {os.fsdecode(self.top)}")
        return found

    def here(self) -> bytes:
        """The current directory as a path from the top; the top itself when we are not in the work tree."""
        return self._prefix

    def shown(self, path: bytes) -> bytes:
        """`path` from the current directory."""
        if not self._prefix:
            return path if self._inside else os.path.join(self.top, path)
        if path.startswith(self._prefix + b"/"):
            return path[len(self._prefix) + 1 :]
        return os.path.relpath(os.path.join(self.top, path), self._cwd)

    def absolute(self, path: bytes) -> bytes:
        """`path` from the root of the file system."""
        return os.path.join(self.top, path)

    def _below_top(self, path: bytes) -> bytes | None:
        if path == self.top:
            return b""
        return path[len(self.top) + 1 :] if path.startswith(self.top + b"/") else None
