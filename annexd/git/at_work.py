"""Other people's git processes that change what is checked out. Source: proc(5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from annexd.errors import RepositoryError
from annexd.git.repository import GitRepository

CHANGING = frozenset((
    b"am", b"apply", b"bisect", b"checkout", b"checkout-index", b"cherry-pick", b"clean", b"commit", b"filter-branch",
    b"merge", b"mv", b"pull", b"read-tree", b"rebase", b"reset", b"restore", b"revert", b"rm", b"sparse-checkout",
    b"stash", b"switch",
))  # fmt: skip
"""Commands after which index, HEAD or work tree are others than before. We ourselves run none of them."""

_WITH_VALUE = frozenset((b"-C", b"-c", b"--git-dir", b"--work-tree", b"--namespace", b"--exec-path", b"--config-env"))
_LONGEST = 4096


def git_at_work(repo: GitRepository) -> str | None:
    """What another git does in this work tree now, as a person would write it; None when there is none.

    Looks at each process of the machine, which takes some milliseconds.
    """
    top = repo.work_tree
    if top is None:
        return None
    for pid in _processes_named_git():
        command = changing_command(_read(b"/proc/%b/cmdline" % pid).split(b"\0"))
        if command is None:
            continue
        with suppress(OSError, RepositoryError):
            where = os.readlink(b"/proc/%b/cwd" % pid)
            is_inside = where == top or where.startswith(top + b"/")
            if is_inside and GitRepository.discover(where).git_dir == repo.git_dir:
                return f"git {command.decode()} (process {pid.decode()})"
    return None


def changing_command(argv: list[bytes]) -> bytes | None:
    """The command in a command line of git, if it is one of CHANGING."""
    words = iter(argv[1:])
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith(b"-"):
            return word if word in CHANGING else None
    return None


def _processes_named_git() -> Iterator[bytes]:
    for name in os.listdir(b"/proc"):
        if name.isdigit() and _read(b"/proc/%b/comm" % name) == b"git\n":
            yield name


def _read(path: bytes) -> bytes:
    """Empty when the process is gone, or nobody's business."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _LONGEST)
        finally:
            os.close(fd)
    return b""
