"""Small histories, drawn as commits with parents."""

from __future__ import annotations

from collections.abc import Sequence

from annexd.git.commit import Signature, build_commit
from annexd.git.object_store import GitObjects
from annexd.git.objects import BLOB, COMMIT, TREE, Oid
from annexd.git.tree import MODE_FILE, Trees

START = 1_700_000_000


def commit(
    objects: GitObjects, parents: Sequence[Oid], files: dict[bytes, bytes] | None = None, date: int = START
) -> Oid:
    """Add a commit whose tree holds `files`; flush afterwards."""
    blobs = {path: (MODE_FILE, objects.add(BLOB, data)) for path, data in (files or {}).items()}
    tree = Trees(objects).update(None, blobs) or objects.add(TREE, b"")
    who = Signature(b"A <a@example.com>", date, b"+0000")
    return objects.add(COMMIT, build_commit(tree, parents, who, who, b"commit"))
