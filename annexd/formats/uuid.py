"""Identities of repositories."""

from __future__ import annotations

import uuid as _uuid
from typing import NewType

UUID = NewType("UUID", bytes)
"""A repository, as logs and configuration name it; not every one is a well-formed RFC 4122 uuid."""

WEB = UUID(b"00000000-0000-0000-0000-000000000001")
BITTORRENT = UUID(b"00000000-0000-0000-0000-000000000002")


def new_uuid() -> UUID:
    """A random (version 4) uuid."""
    return UUID(str(_uuid.uuid4()).encode())


def is_cluster(uuid: UUID) -> bool:
    """Whether this names a cluster of repositories. Source: git-annex, version 8 uuids that start with "ac"."""
    return len(uuid) == 36 and uuid.startswith(b"ac") and uuid[14:15] == b"8"
