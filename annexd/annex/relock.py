"""Turning locked files (symlinks) into unlocked ones (pointer files, or content), and back."""

from __future__ import annotations

import os
from collections.abc import Sequence

from annexd.annex.annexed_files import AnnexedFile
from annexd.annex.checkout_bulk import Bulk, Replacement, replace_many
from annexd.annex.commit import IndexUpdate
from annexd.annex.index_access import is_certain
from annexd.annex.state import AnnexState
from annexd.annex.verify import Verdict, verify_file
from annexd.annex.work_entries import (
    EXECUTABLE,
    EXECUTABLE_MODE,
    FILE_MODE,
    LINK_MODE,
    EntryKind,
    Holds,
    compare,
    read_entry,
)
from annexd.annex.work_files import WorkFiles
from annexd.errors import ContentChanged, ContentError, RepositoryError
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.formats.pointer import link_target, pointer_for


class LocalChanges(ContentError):
    """The file in the work tree is not what its key says, so locking it would lose something."""


def work_files(state: AnnexState) -> WorkFiles:
    """The work tree, to be written. Raises RepositoryError in a bare repository."""
    if state.repo.work_tree is None:
        raise RepositoryError("there is no work tree here")
    return WorkFiles(state.repo.work_tree, state.store)


def unlock_file(state: AnnexState, file: AnnexedFile) -> IndexUpdate:
    """Replace the symlink by a file that can be edited: content if it is here, else a pointer. What to stage.

    Raises ContentChanged when something else than that symlink is there, RepositoryError when the content is damaged.
    """
    work = work_files(state)
    found = read_entry(work.absolute(file.path))
    if found.kind is not EntryKind.LINK or found.key != file.key or found.stat is None:
        raise ContentChanged(f"{display(file.path)} is not the symlink that git has")
    source = state.store.locate(file.key)
    executable = source is not None and bool(os.stat(source).st_mode & EXECUTABLE)
    if source is None:
        temp: bytes | None = work.temp_bytes(pointer_for(file.key), executable=False)
    else:
        temp = work.temp_content(source, file.key, executable=executable, thin=state.config.thin)
    if temp is None:
        raise RepositoryError(f"the content of {file.key} is damaged", hint="run fsck")
    status = work.replace(temp, file.path, found.stat)
    mode = EXECUTABLE_MODE if executable else FILE_MODE
    return IndexUpdate(file.path, mode, pointer_for(file.key), None, status)


def unlock_files(state: AnnexState, files: Sequence[AnnexedFile]) -> dict[bytes, IndexUpdate]:
    """The same for many at once, where that is faster: what to stage, by path. All others are for `unlock_file`."""
    bulk = Bulk(state)
    if not bulk.is_worth(len(files)):
        return {}
    work = work_files(state)
    wanted = []
    for file in files:
        found = read_entry(work.absolute(file.path))
        if found.kind is EntryKind.LINK and found.key == file.key and found.stat is not None:
            source = state.store.locate(file.key)
            executable = source is not None and bool(os.stat(source).st_mode & EXECUTABLE)
            pointer = pointer_for(file.key) if source is None else b""
            wanted.append(Replacement(file.path, found.stat, file.key, executable, pointer))
    done = replace_many(bulk, work, state.store, wanted)
    return {
        one.path: IndexUpdate(
            one.path, EXECUTABLE_MODE if one.executable else FILE_MODE, pointer_for(one.key), None, status
        )
        for one in wanted
        if isinstance(status := done.get(one.path), os.stat_result)
    }


def lock_file(state: AnnexState, file: AnnexedFile, *, discard_changes: bool) -> IndexUpdate:
    """Replace the unlocked file by a symlink. What to stage.

    Raises LocalChanges when the file was modified, unless `discard_changes`; ContentChanged when it changes meanwhile.
    """
    work = work_files(state)
    path_abs = work.absolute(file.path)
    found = read_entry(path_abs)
    target = link_target(file.path, state.layout.link_object_path(file.key))
    if found.stat is None or found.kind not in (EntryKind.POINTER, EntryKind.FILE):
        raise ContentChanged(f"{display(file.path)} is not a file")
    if not _is_unmodified(state, file, path_abs, found.stat):
        if not discard_changes:
            raise LocalChanges(f"{display(file.path)} was modified")
    elif found.kind is EntryKind.FILE:
        _keep_content(state, work, path_abs, file.key)
    status = work.replace(work.temp_symlink(target), file.path, found.stat)
    return IndexUpdate(file.path, LINK_MODE, target, None, status)


def _is_unmodified(state: AnnexState, file: AnnexedFile, path_abs: bytes, status: os.stat_result) -> bool:
    index = state.index.current()
    entry = index.get(file.path)
    if entry is not None and is_certain(index, entry, status):
        return True
    place = state.store.locate(file.key)
    mode = EXECUTABLE_MODE if status.st_mode & EXECUTABLE else FILE_MODE
    return compare(path_abs, status, mode, pointer_for(file.key), place, index.fidelity) is not Holds.NO


def _keep_content(state: AnnexState, work: WorkFiles, path_abs: bytes, key: Key) -> None:
    """The work tree may have the only copy, when the object was lost: it becomes the object again."""
    if state.store.is_present(key):
        return
    status = os.lstat(path_abs)
    temp = work.temp_copy(path_abs, executable=bool(status.st_mode & EXECUTABLE), size=key.size)
    if temp is None or verify_file(temp, key) is Verdict.DIFFERS:
        raise LocalChanges("the file is not the content of its key")
    state.store.put_file(temp, key)
