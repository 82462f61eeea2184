"""Real annexes for tests, made by annexd itself."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from annexd.annex.init import initialize
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from tests.support.repositories import git, make_git_repo


def make_annex(path: Path, *, bare: bool = False, version: int = 10, **settings: str) -> AnnexState:
    """An empty annex with `settings` (written annex_diskreserve="0") in its git config; the caller closes the state."""
    make_git_repo(path, bare=bare)
    for name, value in {"annex_diskreserve": "0", **settings}.items():
        git(path, "config", name.replace("_", ".", 1).replace("_", "-"), value)
    return initialize(os.fsencode(path), os.fsencode(path.name), version=version)


def add_remote(state: AnnexState, name: str, other: AnnexState, **settings: str) -> None:
    """Make `other` a remote of `state` by path, with `settings` below remote.NAME (written annex_push="false")."""
    repo = Path(os.fsdecode(state.repo.top))
    git(repo, "remote", "add", name, os.fsdecode(other.repo.top))
    for setting, value in settings.items():
        git(repo, "config", f"remote.{name}.{setting.replace('_', '-')}", value)
    state.reload_config()


def key_of(data: bytes, extension: bytes = b"") -> Key:
    """The SHA256E key of some content."""
    return Key(b"SHA256E", hashlib.sha256(data).hexdigest().encode() + extension, len(data))


def put(state: AnnexState, data: bytes) -> Key:
    """Content that is present in the annex; its key."""
    key = key_of(data)
    state.store.put_bytes(data, key)
    return key


def content(state: AnnexState, key: Key) -> bytes | None:
    """What the annex has as the content of a key."""
    path = state.store.locate(key)
    return None if path is None else Path(os.fsdecode(path)).read_bytes()
