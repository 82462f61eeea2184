"""Content comes into unlocked files of the work tree, and goes again; files that a person changed are left alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from annexd.annex.checkout_bulk import Bulk, Replacement, replace_many
from annexd.annex.commit import refresh_stat
from annexd.annex.index_access import is_certain
from annexd.annex.odd_pointers import odd_blobs
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import (
    EXECUTABLE_MODE,
    LINK_MODE,
    EntryKind,
    Holds,
    WorkTreeEntry,
    compare,
    read_entry,
    read_pointer,
)
from annexd.annex.work_files import WorkFiles
from annexd.errors import AnnexError, ContentChanged, RepositoryError
from annexd.formats.key import Key
from annexd.formats.pointer import parse_pointer, pointer_for
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.objects import BLOB, Oid, object_id
from annexd.threads.deadline import Deadline
from annexd.threads.faults import reach

__all__ = ["EntryKind", "WorkTreeEntry", "annexed_paths", "depopulate", "populate", "read_entry"]

INDEX_WAIT = 0.5
"""Seconds to wait for git's index lock before the refresh is left to later."""

TRIES = 3

_Stats = dict[bytes, tuple[Oid, os.stat_result]]


@dataclass(slots=True)
class PopulateResult:
    """Paths that have their content now, and those that could not get it, with the reason."""

    populated: list[bytes] = field(default_factory=list)
    failed: list[tuple[bytes, str]] = field(default_factory=list)


@dataclass(slots=True)
class DepopulateResult:
    """Paths that are pointers again, and those left alone because they were modified."""

    depopulated: list[bytes] = field(default_factory=list)
    modified: list[bytes] = field(default_factory=list)


def annexed_paths(state: AnnexState, key: Key) -> list[bytes]:
    """The unlocked files of a key, as git's index has them."""
    return sorted(entry.path for entry in _entries(state, [key]).get(key, ()))


def populate(state: AnnexState, keys: Iterable[Key], deadline: Deadline | None = None) -> PopulateResult:
    """Give their content to the unlocked files of these keys that are pointers still; keys without content are skipped.

    To be called after content came. The index learns all new stats at once (`deadline` is for its lock; when that
    passes they are noted for later). Blocks for as long as copying takes.
    """
    result = PopulateResult()
    if state.repo.work_tree is None:
        return result
    found = {key: entries for key, entries in _entries(state, dict.fromkeys(keys)).items() if entries}
    present = {key: place for key in found if (place := state.store.locate(key)) is not None}
    if not present:
        return result
    work = WorkFiles(state.repo.work_tree, state.store)
    stats: _Stats = {}
    thin = state.config.thin
    files = [(key, entry) for key in present for entry in found[key]]
    filled = _fill_many(state, work, files)
    for key, entry in files:
        try:
            status = filled.get(entry.path) or _fill(work, entry, key, present[key], thin=thin)
        except (AnnexError, OSError) as error:
            result.failed.append((entry.path, str(error)))
            continue
        if status is not None:
            stats[entry.path] = (entry.oid, status)
            result.populated.append(entry.path)
            reach("populate-half")
    refresh_stat(state, stats, deadline or Deadline(INDEX_WAIT))
    return result


def depopulate(state: AnnexState, key: Key, deadline: Deadline | None = None) -> DepopulateResult:
    """Turn the unmodified unlocked files of a key into pointers, before its content goes. Blocks for reading at most.

    A file whose stat does not prove it unmodified is read. Modified files are a person's: they stay.
    """
    result = DepopulateResult()
    if state.repo.work_tree is None:
        return result
    work = WorkFiles(state.repo.work_tree, state.store)
    index = state.index.current()
    stats: _Stats = {}
    for entry in _entries(state, [key]).get(key, ()):
        status = _content_stat(work, entry.path)
        if status is None:
            continue
        blob = state.objects.read_blob(entry.oid) or pointer_for(key)
        try:
            if not _is_unmodified(state, work, index, entry, status, blob):
                raise ContentChanged("modified")
            temp = work.temp_bytes(blob, executable=entry.mode == EXECUTABLE_MODE)
            stats[entry.path] = (entry.oid, work.replace(temp, entry.path, status))
            result.depopulated.append(entry.path)
        except ContentChanged:
            result.modified.append(entry.path)
    refresh_stat(state, stats, deadline or Deadline(INDEX_WAIT))
    return result


def _entries(state: AnnexState, keys: Iterable[Key]) -> Mapping[Key, list[IndexEntry]]:
    """The unlocked entries of each key, whatever form their pointers have."""
    index = state.index.current()
    wanted = {key: [object_id(BLOB, pointer_for(key))] for key in keys}
    for oid, key in odd_blobs(state, index).items():
        if key in wanted:
            wanted[key].append(oid)
    found: dict[Key, list[IndexEntry]] = {}
    for key, oids in wanted.items():
        entries = [index.get(path) for oid in oids for path in index.entries_for_oid(oid)]
        found[key] = [entry for entry in entries if entry is not None and entry.mode != LINK_MODE]
    return found


def _fill_many(
    state: AnnexState, work: WorkFiles, files: Sequence[tuple[Key, IndexEntry]]
) -> dict[bytes, os.stat_result]:
    """Those that got their content with others, if they are many; all others are for `_fill`."""
    bulk = Bulk(state)
    if not bulk.is_worth(len(files)):
        return {}
    wanted = []
    for key, entry in files:
        status = work.lstat(entry.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            continue
        if read_pointer(work.absolute(entry.path), status) == key:
            wanted.append(Replacement(entry.path, status, key, entry.mode == EXECUTABLE_MODE))
    done = replace_many(bulk, work, state.store, wanted)
    return {path: status for path, status in done.items() if isinstance(status, os.stat_result)}


def _fill(work: WorkFiles, entry: IndexEntry, key: Key, source: bytes, *, thin: bool) -> os.stat_result | None:
    """Content in the place of the pointer; None when there is no pointer to this key (any more)."""
    for attempt in range(TRIES):
        status = work.lstat(entry.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        if read_pointer(work.absolute(entry.path), status) != key:
            return None
        temp = work.temp_content(source, key, executable=entry.mode == EXECUTABLE_MODE, thin=thin)
        if temp is None:
            raise RepositoryError(f"the content of {key} is damaged", hint="run fsck")
        try:
            return work.replace(temp, entry.path, status)
        except ContentChanged:      # by another thread that does the same, or by a person: look again
            if attempt == TRIES - 1:
                raise
    return None


def _content_stat(work: WorkFiles, path: bytes) -> os.stat_result | None:
    """The stat of a regular file that is no pointer; None for anything else."""
    status = work.lstat(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return None if read_pointer(work.absolute(path), status) is not None else status


def _is_unmodified(
    state: AnnexState, work: WorkFiles, index: GitIndex, entry: IndexEntry, status: os.stat_result, blob: bytes
) -> bool:
    if is_certain(index, entry, status):
        return True
    key = parse_pointer(blob)
    place = None if key is None else state.store.locate(key)
    return compare(work.absolute(entry.path), status, entry.mode, blob, place, index.fidelity) is Holds.YES
