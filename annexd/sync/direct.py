"""Whether a remote is a plain repository on this machine, into which objects and refs may be put without git push."""

from __future__ import annotations

import os

from annexd.errors import AnnexError
from annexd.git.config import GitConfig
from annexd.git.pack_transfer import direct_delivery_possible, is_own_hook
from annexd.git.repository import GitRepository
from annexd.remotes.apart import repository_at
from annexd.remotes.contract import RemoteKind, RemoteSpec

Marks = tuple[tuple[int, int, int] | None, ...]


def direct_target(repo: GitRepository, spec: RemoteSpec) -> GitRepository | None:
    """The remote's repository when nothing, here or there, asks for git push; else None. Starts at most one process."""
    if spec.kind is not RemoteKind.GIT_LOCAL or spec.path is None:
        return None
    if spec.config.push_url or any(spec.config.setting(name) for name in ("push", "mirror", "receivepack")):
        return None
    if not is_own_hook(os.path.join(repo.common_dir, b"hooks", b"pre-push")):
        return None
    try:
        target = repository_at(spec.path)
        if target is None or not direct_delivery_possible(repo, target):
            return None
        config = GitConfig.load(target)
    except (AnnexError, OSError):
        return None
    # Then git changes the work tree there along with the branch.
    return None if (config.get("receive.denycurrentbranch") or "").lower() == "updateinstead" else target


def marks(repo: GitRepository, target: GitRepository | None) -> Marks:
    """What changes when the answer of `direct_target` may have changed. Only files are looked at."""
    paths = [repo.common_dir + b"/hooks", repo.common_dir + b"/config"]
    if target is not None:
        paths += [target.common_dir + b"/config", target.common_dir + b"/hooks", target.objects_dir]
    return tuple(_mark(path) for path in paths)


def _mark(path: bytes) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    changes_often = path.endswith(b"/objects")
    return (status.st_dev, status.st_ino, 0 if changes_often else status.st_mtime_ns)
