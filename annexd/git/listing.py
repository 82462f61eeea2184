"""All files of a tree, listed by git itself: three times as fast as walking it here, and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from annexd.errors import GitError, ProcessError, RepositoryError
from annexd.git.objects import Oid
from annexd.git.process import as_git_error
from annexd.git.repository import GitRepository
from annexd.system.output import output_of


class ListedFile(NamedTuple):
    """One file of a tree: git's mode, and the size of the blob in bytes (-1 when the blob is missing)."""

    path: bytes
    mode: int
    oid: Oid
    size: int


def files_in(repo: GitRepository, root: Oid) -> Iterator[ListedFile]:
    """The files in a tree, in git's order, but for submodules. Raises GitError, RepositoryError when it is missing."""
    modes: dict[bytes, int] = {}
    for record in _records(repo, b"-l", root):
        facts, _, path = record.partition(b"\t")
        mode_text, kind, oid, size = facts.split()
        if kind != b"blob":
            continue
        mode = modes.get(mode_text)
        if mode is None:
            mode = modes[mode_text] = int(mode_text, 8)
        yield ListedFile(path, mode, Oid(bytes.fromhex(oid.decode("ascii"))), int(size) if size.isdigit() else -1)


def blobs_in(repo: GitRepository, root: Oid) -> Iterator[tuple[bytes, Oid]]:
    """Path and object of the regular files in a tree, in git's order. Errors as of `files_in`."""
    for record in _records(repo, b"--full-tree", root):
        if record.startswith(b"100"):
            facts, _, path = record.partition(b"\t")
            yield path, Oid(bytes.fromhex(facts[-40:].decode("ascii")))


def _records(repo: GitRepository, option: bytes, root: Oid) -> Iterator[bytes]:
    argv = repo.argv(b"ls-tree", b"-r", b"-z", b"--full-tree", option, root.hex().encode())
    rest = b""
    try:
        for piece in output_of(argv, repo.environment()):
            *records, rest = (rest + piece).split(b"\0")
            yield from records
    except ProcessError as error:
        problem = as_git_error(error)
        if b"not a tree object" in error.stderr or b"Not a valid object name" in error.stderr:
            raise RepositoryError(f"tree {root.hex()} cannot be read", hint="run git fsck") from problem
        raise problem from error
    if rest:
        raise GitError(argv, 0, b"output was cut off")
