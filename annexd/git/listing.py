"""All files of a tree, or those in which two differ, told by git itself: faster than walking here, and in no memory."""

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
    for record in _listed(repo, b"-l", root):
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
    for record in _listed(repo, b"--full-tree", root):
        if record.startswith(b"100"):
            facts, _, path = record.partition(b"\t")
            yield path, Oid(bytes.fromhex(facts[-40:].decode("ascii")))


def changes_in(repo: GitRepository, old: Oid, new: Oid) -> Iterator[tuple[bytes, Oid | None]]:
    """Path and new object (None: gone) of the files in which two trees differ. Errors as of `files_in`."""
    names = (old.hex().encode(), new.hex().encode())
    records = _records(repo, b"diff-tree", b"-r", b"-z", b"--raw", b"--no-renames", b"--no-abbrev", *names)
    for facts in records:
        _, _, _, oid, status = facts.split(b" ")
        path = next(records, b"")
        yield path, None if status == b"D" else Oid(bytes.fromhex(oid.decode("ascii")))


def _listed(repo: GitRepository, option: bytes, root: Oid) -> Iterator[bytes]:
    return _records(repo, b"ls-tree", b"-r", b"-z", b"--full-tree", option, root.hex().encode())


def _records(repo: GitRepository, *args: bytes) -> Iterator[bytes]:
    argv = repo.argv(*args)
    rest = b""
    try:
        for piece in output_of(argv, repo.environment()):
            *records, rest = (rest + piece).split(b"\0")
            yield from records
    except ProcessError as error:
        problem = as_git_error(error)
        if any(words in error.stderr for words in _MISSING):
            raise RepositoryError(f"a tree cannot be read: {problem}", hint="run git fsck") from problem
        raise problem from error
    if rest:
        raise GitError(argv, 0, b"output was cut off")


_MISSING = (b"not a tree object", b"Not a valid object name", b"bad object", b"unable to read tree", b"bad tree object")
