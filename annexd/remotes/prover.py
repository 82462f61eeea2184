"""Remotes as witnesses that content will still exist after it was dropped elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from annexd.annex.drop import CopyKind
from annexd.errors import ContentMissing, RemoteRefused
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.remotes.contract import Remote


class RemoteProver:
    """Proves what one live remote has; belongs to the remote's thread."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    @property
    def uuid(self) -> UUID:
        """Of the remote. Raises RemoteRefused for one that is no annex."""
        uuid = self._remote.spec.uuid
        if uuid is None:
            raise RemoteRefused(f"remote {self._remote.spec.name} is no annex")
        return uuid

    @contextmanager
    def prove(self, key: Key) -> Iterator[CopyKind | None]:
        """Locks the content there. Raises ContentLocked, RemoteError."""
        lock = self._remote.lock_content(key)
        try:
            lock.__enter__()
        except ContentMissing:
            yield None
            return
        try:
            yield CopyKind.LOCKED
        finally:
            lock.__exit__(None, None, None)
