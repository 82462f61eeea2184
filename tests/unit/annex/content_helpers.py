"""What tests of content and the work tree share."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from annexd.annex.checkout import CheckoutResult, apply_tree
from annexd.annex.commit import CommitResult, IndexUpdate, new_commit, settle, stage_and_commit, tree_of
from annexd.annex.ingest import AddAs, Ingested, IngestOptions, ingest_file
from annexd.annex.state import AnnexState
from annexd.backends.registry import backend
from annexd.formats.key import Key
from annexd.formats.pointer import link_target, pointer_for
from annexd.git.objects import BLOB, Oid
from annexd.git.tree import Trees
from annexd.threads.deadline import Deadline
from tests.support.annexes import key_of

NOW = Deadline(0)

File = tuple[int, bytes] | None
"""git mode and blob of a file; None: it is removed."""


def top(state: AnnexState) -> Path:
    """The top of the work tree."""
    assert state.repo.work_tree is not None
    return Path(os.fsdecode(state.repo.work_tree))


def write(state: AnnexState, path: bytes, data: bytes, mode: int | None = None) -> bytes:
    """Write a file of the work tree; its absolute path."""
    place = os.path.join(os.fsencode(top(state)), path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(data)
    if mode is not None:
        os.chmod(place, mode)
    return place


def read(state: AnnexState, path: bytes) -> bytes:
    """A file of the work tree."""
    with open(os.path.join(os.fsencode(top(state)), path), "rb") as file:
        return file.read()


def ingest(
    state: AnnexState, path: bytes, add_as: AddAs = AddAs.UNLOCKED, name: bytes = b"SHA256E", known: Key | None = None,
    seen: os.stat_result | None = None,
) -> Ingested:  # fmt: skip
    """Take a file of the work tree into the annex; with `known` it held that key's content when `seen`, or now."""
    chosen = backend(name)
    assert chosen is not None
    place = os.path.join(os.fsencode(top(state)), path)
    return ingest_file(
        state.store, state.layout, IngestOptions.of(state.config), place, repo_path=path, backend=chosen, add_as=add_as,
        known=None if known is None else (known, seen or os.lstat(place)),
    )  # fmt: skip


def update(path: bytes, done: Ingested) -> IndexUpdate:
    """What the index is told about a file that was taken in."""
    return IndexUpdate(path, done.mode, done.content, None, done.stat)


def add(state: AnnexState, files: Mapping[bytes, bytes], add_as: AddAs = AddAs.UNLOCKED) -> CommitResult:
    """Write files, annex and commit them, and tell the location log."""
    updates = []
    present = []
    for path, data in files.items():
        write(state, path, data)
        done = ingest(state, path, add_as)
        updates.append(update(path, done))
        present.append(done.key)
    state.locations.record_many(_present(state, present))
    result = stage_and_commit(state, updates, b"added", NOW)
    assert result is not None
    return result


def _present(state: AnnexState, keys: list[Key]) -> list[tuple]:  # type: ignore[type-arg]  # enum of another module
    from annexd.annex.location_log import Presence

    return [(key, state.uuid, Presence.PRESENT) for key in keys]


def unlocked(data: bytes, *, executable: bool = False, extension: bytes = b"") -> File:
    """An unlocked annexed file with this content."""
    return 0o100755 if executable else 0o100644, pointer_for(key_of(data, extension))


def locked(state: AnnexState, path: bytes, data: bytes) -> File:
    """A locked annexed file with this content."""
    return 0o120000, link_target(path, state.layout.link_object_path(key_of(data)))


def next_commit(state: AnnexState, files: Mapping[bytes, File], base: Oid | None = None) -> tuple[Oid, Oid]:
    """A commit on top of `base` (default: HEAD) with these files changed, as another repository could have made it.

    Returns commit and tree; HEAD stays.
    """
    parent = base or state.refs.head().oid
    changes = {path: file and (file[0], state.objects.add(BLOB, file[1])) for path, file in files.items()}
    tree = Trees(state.objects).update(tree_of(state.objects, parent), changes)
    assert tree is not None
    commit = new_commit(state, tree, [] if parent is None else [parent], b"made elsewhere")
    state.objects.flush()
    return commit, tree


def check_out(state: AnnexState, files: Mapping[bytes, File]) -> CheckoutResult:
    """Bring HEAD and work tree to a next commit with these files changed."""
    commit, tree = next_commit(state, files)
    head = state.refs.head()
    assert head.ref is not None
    old = tree_of(state.objects, head.oid)
    return apply_tree(state, old, tree, new_head=(head.ref, head.oid, commit), deadline=NOW)


def status(state: AnnexState) -> bytes:
    """`git status --porcelain` a while later; fails when git has to run the filter."""
    settle(state, NOW)
    later = time.time() + 3  # files written in the same second as the index have git look into them
    os.utime(state.repo.index_path, (later, later))
    forbid = ("-c", "filter.annex.clean=false", "-c", "filter.annex.smudge=false", "-c", "filter.annex.process=")
    argv = ["git", *forbid, "-c", "filter.annex.required=true", "status", "--porcelain"]
    done = subprocess.run(argv, cwd=top(state), capture_output=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout
