"""Symlinks to annexed content that lead nowhere since they were moved to another directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from annexd.annex.annexed_files import LINK, tracked
from annexd.annex.commit import IndexUpdate, stage
from annexd.annex.relock import work_files
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import EntryKind, read_entry
from annexd.errors import ContentChanged
from annexd.formats.pointer import link_target, parse_link
from annexd.git.scan import parse_raw_diff
from annexd.threads.deadline import Deadline


def fix_staged_links(state: AnnexState, deadline: Deadline) -> list[bytes]:
    """Correct the symlinks that are staged for the next commit, in index and work tree; the paths corrected.

    Raises IndexLocked.
    """
    updates = []
    for path, target in list(_staged_links(state)):
        key = parse_link(target)
        if key is None:
            continue
        right = link_target(path, state.layout.link_object_path(key))
        if right != target:
            updates.append(IndexUpdate(path, LINK, right, None, _relink(state, path, target, right)))
    if updates:
        stage(state, updates, deadline)
    return [update.path for update in updates]


def _staged_links(state: AnnexState) -> Iterator[tuple[bytes, bytes]]:
    """Path and target of every symlink in the index that HEAD has not, or has otherwise."""
    index = state.index.current()
    head = state.refs.head().oid
    if head is None:
        paths = [file.path for file in tracked(state) if file.mode == LINK]
    else:
        listing = state.repo.run(b"diff-index", b"--cached", b"-z", b"--raw", b"--no-renames", head.hex().encode())
        paths = [change.path for change in parse_raw_diff(listing) if change.new_mode == LINK]
    entries = [entry for path in paths if (entry := index.get(path)) is not None]
    for entry, blob in zip(entries, state.objects.read_many([entry.oid for entry in entries]), strict=True):
        if blob is not None:
            yield entry.path, blob.data


def _relink(state: AnnexState, path: bytes, old: bytes, new: bytes) -> os.stat_result | None:
    """Replace the symlink in the work tree too, if it is the one that is staged; its stat."""
    work = work_files(state)
    found = read_entry(work.absolute(path))
    if found.kind is not EntryKind.LINK or found.target != old or found.stat is None:
        return None
    with suppress(ContentChanged):
        return work.replace(work.temp_symlink(new), path, found.stat)
    return None
