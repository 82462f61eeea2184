"""All work trees of a repository. Source: git, documentation of git-worktree, "DETAILS"."""

from __future__ import annotations

import os
from contextlib import suppress

from annexd.git.repository import GitRepository

_HEAD_BYTES = 4096


def checked_out(repo: GitRepository) -> frozenset[bytes]:
    """The branches (b"refs/heads/...") that are checked out in the main work tree or a linked one."""
    heads = [] if repo.is_bare else [repo.common_dir + b"/HEAD"]
    linked = repo.common_dir + b"/worktrees"
    with suppress(FileNotFoundError):
        heads += [b"%b/%b/HEAD" % (linked, name) for name in os.listdir(linked)]
    return frozenset(ref for head in heads if (ref := _branch(head)) is not None)


def _branch(path: bytes) -> bytes | None:
    with suppress(OSError), open(path, "rb") as file:
        text = file.read(_HEAD_BYTES)
        if text.startswith(b"ref:"):
            return text[4:].strip()
    return None
