"""What differs between work tree and index, found by git without running any content filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from annexd.errors import GitError
from annexd.git.objects import Oid
from annexd.git.repository import GitRepository


class WorkTreeChange(NamedTuple):
    """A tracked path whose file differs from its entry, as far as lstat tells.

    `status` is one letter: M modified, D deleted, T type changed, U unmerged. `new_mode` is 0 for a deleted one.
    """

    path: bytes
    status: str
    old_mode: int
    new_mode: int
    oid: Oid


def changed_paths(repo: GitRepository) -> list[WorkTreeChange]:
    """Tracked paths whose file changed, is gone or has another type. Raises GitError."""
    return list(parse_raw_diff(repo.run(b"diff-files", b"-z", b"--raw", b"--ignore-submodules=all")))


def deleted_paths(repo: GitRepository) -> list[bytes]:
    """Tracked paths without a file. Raises GitError."""
    return [change.path for change in changed_paths(repo) if change.status == "D"]


def staged_paths(repo: GitRepository) -> list[bytes]:
    """Paths of which the index says otherwise than HEAD; none while there is no commit. Raises GitError."""
    try:
        listing = repo.run(b"diff-index", b"--cached", b"-z", b"--name-only", b"--no-renames", b"HEAD")
    except GitError:
        repo.run(b"rev-parse", b"--git-dir")    # if that fails as well, it is not for want of a commit
        return []
    return listing.split(b"\0")[:-1]


def untracked(repo: GitRepository) -> list[bytes]:
    """Files that are neither tracked nor ignored; an embedded git repository comes as one path ending in "/".

    Raises GitError.
    """
    listing = repo.run(b"ls-files", b"-o", b"-z", b"--exclude-standard")
    return listing.split(b"\0")[:-1]


def parse_raw_diff(output: bytes) -> Iterator[WorkTreeChange]:
    """What git's diff commands print with `-z --raw`, renames off. Source: documentation of git-diff, "raw"."""
    fields = iter(output.split(b"\0"))
    for info in fields:
        if not info:
            return
        old_mode, new_mode, oid, _, status = info[1:].split(b" ")
        yield WorkTreeChange(
            next(fields),
            status[:1].decode("ascii"),
            int(old_mode, 8),
            int(new_mode, 8),
            Oid(bytes.fromhex(oid.decode("ascii"))),
        )
