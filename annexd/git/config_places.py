"""The files that git's settings lie in, and whether one of them changed.

Source: git, documentation of git-config, "FILES".
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping

from annexd.git.repository import GitRepository


def config_places(repo: GitRepository, environ: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    """The files of the repository, the user and the system, whether they exist or not; no included ones."""
    own = (repo.common_dir + b"/config", repo.git_dir + b"/config.worktree")
    if environ.get(b"GIT_CONFIG_GLOBAL"):
        user: tuple[bytes, ...] = (environ[b"GIT_CONFIG_GLOBAL"],)
    else:
        home = environ.get(b"HOME", b"")
        xdg = environ.get(b"XDG_CONFIG_HOME") or (home + b"/.config" if home else b"")
        user = (*((home + b"/.gitconfig",) if home else ()), *((xdg + b"/git/config",) if xdg else ()))
    system = () if environ.get(b"GIT_CONFIG_NOSYSTEM") else (environ.get(b"GIT_CONFIG_SYSTEM") or b"/etc/gitconfig",)
    return (*own, *user, *system)


def stamp_of(places: Iterable[bytes]) -> Hashable:
    """A value that is another one after any of these files was written."""
    return tuple(_stamp(place) for place in places)


def _stamp(place: bytes) -> tuple[int, int, int] | None:
    try:
        status = os.stat(place)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)
