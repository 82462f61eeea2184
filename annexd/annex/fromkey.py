"""A new symlink in the work tree for a key that is known."""

from __future__ import annotations

import os

from annexd.annex.commit import IndexUpdate
from annexd.annex.relock import work_files
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import LINK_MODE, EntryKind, read_entry
from annexd.errors import RefusedError
from annexd.formats.key import Key, check_safe
from annexd.formats.paths import check_repo_path, display
from annexd.formats.pointer import link_target


def link_to_key(state: AnnexState, path: bytes, key: Key) -> IndexUpdate | None:
    """Make the symlink; what to stage, None when it is there already.

    Raises UnsafePath, UnsafeKey, RefusedError when another file is in the way.
    """
    check_repo_path(path)
    check_safe(key)
    work = work_files(state)
    found = read_entry(work.absolute(path))
    if found.kind is not EntryKind.MISSING:
        if found.key == key:
            return None
        raise RefusedError(f"{display(path)} already exists with different content")
    target = link_target(path, state.layout.link_object_path(key))
    if directory := os.path.dirname(path):
        work.make_directories(directory)
    status = work.place_new(work.temp_symlink(target), path)
    return IndexUpdate(path, LINK_MODE, target, None, status)
