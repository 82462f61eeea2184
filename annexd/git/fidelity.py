"""What the file system under a work tree keeps of what git knows of a file.

Source: git, core.fileMode, core.symlinks and core.ignoreCase.
"""

from __future__ import annotations

import stat
from typing import NamedTuple

from annexd.git.tree import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_LINK

_REGULAR = (MODE_FILE, MODE_EXECUTABLE)


class Fidelity(NamedTuple):
    """Without `modes` every file may look executable, without `symlinks` a regular file holds the target of one,
    without `case` names that differ in that alone are one.
    """

    modes: bool = True
    symlinks: bool = True
    case: bool = True

    def allows(self, mode: int, actual: int) -> bool:
        """Whether what git has as `mode` may look in the work tree as the `st_mode` given."""
        if mode in _REGULAR:
            return stat.S_ISREG(actual) and (not self.modes or (mode == MODE_EXECUTABLE) == bool(actual & 0o100))
        if mode == MODE_LINK:
            return stat.S_ISLNK(actual) or (not self.symlinks and stat.S_ISREG(actual))
        return mode == MODE_GITLINK and stat.S_ISDIR(actual)

    def recorded(self, mode: int, before: int | None) -> int:
        """What becomes of the mode of a file that looks like `mode`, and is recorded as `before` if it is at all."""
        if self.modes or mode not in _REGULAR:
            return mode
        return before if before in _REGULAR else MODE_FILE


FULL = Fidelity()
