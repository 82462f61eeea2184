"""Names of journal files: a path of the git-annex branch as one file name.

Source: git-annex, journal file names.
"""

from __future__ import annotations

_SWAP = bytes.maketrans(b"_/", b"/_")


def to_journal_name(branch_path: bytes) -> bytes:
    """The name of the journal file that holds this file of the branch."""
    return branch_path.replace(b"_", b"__").replace(b"/", b"_")


def from_journal_name(name: bytes) -> bytes:
    """The path in the branch of the file that this journal file holds."""
    return name.replace(b"__", b"/").translate(_SWAP)  # a file name has no "/", so it can stand in for "_" meanwhile
