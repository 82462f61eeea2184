"""Work trees whose .git is a file that names the git directory: submodules and `git worktree`.

Symlinks of locked files go through ".git/annex/objects", so there .git must be a directory, or lead to one.
Source: git-annex, which makes the same symlinks.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from annexd.annex.config import AnnexConfig
from annexd.git.config import unset_config
from annexd.git.repository import GitRepository


def link_git_dir(repo: GitRepository, config: AnnexConfig) -> None:
    """Turn a .git file at the top of the work tree into a symlink to what it names. Idempotent. OSError, GitError.

    Does nothing for other repositories, nor where there are no symlinks.
    """
    if repo.work_tree is None or not config.symlinks:
        return
    dot_git = repo.work_tree + b"/.git"
    if os.path.islink(dot_git) or not os.path.isfile(dot_git):
        return
    if repo.common_dir != repo.git_dir:
        annex = os.path.relpath(repo.common_dir + b"/annex", repo.git_dir)
        with suppress(FileExistsError):
            os.symlink(annex, repo.git_dir + b"/annex")
    temporary = repo.work_tree + b"/.git.annexd-" + secrets.token_hex(4).encode()
    os.symlink(os.path.relpath(repo.git_dir, repo.work_tree), temporary)
    try:
        os.rename(temporary, dot_git)
    except BaseException:
        os.unlink(temporary)
        raise
    if repo.common_dir == repo.git_dir:
        unset_config(repo, "core.worktree")  # a submodule's; git finds it by itself now
