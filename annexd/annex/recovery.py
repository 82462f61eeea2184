"""What a crash left half done is finished or cleared away, before anything else starts.

Every step can be done again, and can itself be killed in the middle. What could be somebody's data is kept.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress

from annexd.annex import restage, smudge_log, unrecorded, worktree
from annexd.annex.checkout_recovery import recover_checkout
from annexd.annex.commit import refresh_stat
from annexd.annex.index_repair import repair_index
from annexd.annex.layout import RepoLayout
from annexd.annex.objects import PART
from annexd.annex.state import AnnexState
from annexd.annex.verify import Verdict, verify_file
from annexd.annex.work_entries import EntryKind, read_entry
from annexd.annex.work_files import unchanged
from annexd.errors import AnnexError, UnsafePath
from annexd.formats.paths import check_repo_path, display
from annexd.formats.pointer import parse_pointer
from annexd.git.index_lock import remove_stale_lock
from annexd.git.objects import Oid
from annexd.system.lock_pool import LOCKS, OnRelease
from annexd.threads.deadline import Deadline
from annexd.threads.faults import reach

_INDEX_SECONDS = 10.0
_LOCK_PREFIX = b"lck."


def recover(state: AnnexState) -> list[str]:
    """Put the repository right; what was done, for the log, one line each.

    A step that fails is reported as well and does not keep the others from being done. Call it while holding the
    daemon's lock, before any thread starts; other annexd and git-annex commands may run meanwhile.
    """
    steps: tuple[Callable[[AnnexState], list[str]], ...] = (
        _remove_index_lock,
        recover_checkout,       # before and after: the first commit of all makes the index itself
        _repair_index,
        recover_checkout,
        _commit_journal,
        _record_news,
        _remove_stale_transfers,
        _empty_othertmp,
        _clear_scratch,
        _populate_smudged,
        _restage,
    )
    done: list[str] = []
    for step in steps:
        try:
            done += step(state)
            reach("recovery-half")
        except (AnnexError, OSError) as problem:
            done.append(f"could not {step.__name__.strip('_').replace('_', ' ')}: {problem}")
    return done


def _remove_index_lock(state: AnnexState) -> list[str]:
    if state.repo.is_bare or not remove_stale_lock(state.repo):
        return []
    return ["removed the lock on git's index that a killed annexd had left"]


def _repair_index(state: AnnexState) -> list[str]:
    return repair_index(state, Deadline(_INDEX_SECONDS))


def _commit_journal(state: AnnexState) -> list[str]:
    if state.branch.journal_is_empty() or not state.config.always_commit:
        return []
    update = state.branch.commit()
    done = ["committed the journal that an earlier process had left"] if update.moved else []
    odd = _names(state.layout.journal_dir) if not state.branch.journal_is_empty() else []
    return done + [
        f"left alone what is no file of the git-annex branch: {display(state.layout.journal_dir + b'/' + name)}"
        for name in odd
    ]


def _record_news(state: AnnexState) -> list[str]:
    """What commands that were killed had moved and could not write down."""
    count = unrecorded.record_left_behind(state)
    return [f"recorded where {count} contents are that killed commands had moved"] if count else []


def _remove_stale_transfers(state: AnnexState) -> list[str]:
    """Source: git-annex, stale transfer information: its lock file is not locked."""
    removed = 0
    for directory in _transfer_directories(state.layout):
        for name in _names(directory):
            if name.startswith(_LOCK_PREFIX):
                removed += _remove_transfer(directory, name[len(_LOCK_PREFIX) :])
        for name in _names(directory):
            if not name.startswith(_LOCK_PREFIX) and not os.path.exists(directory + b"/" + _LOCK_PREFIX + name):
                removed += _unlink(directory + b"/" + name)
    return [f"removed notes about {removed} transfers that were cut off"] if removed else []


def _transfer_directories(layout: RepoLayout) -> Iterator[bytes]:
    for direction in (b"upload", b"download"):
        base = layout.transfer_root + b"/" + direction
        for name in _names(base):
            if os.path.isdir(base + b"/" + name):
                yield base + b"/" + name


def _remove_transfer(directory: bytes, name: bytes) -> int:
    lock = LOCKS.try_exclusive(directory + b"/" + _LOCK_PREFIX + name, on_release=OnRelease.UNLINK)
    if lock is None:
        return 0
    with lock:
        _unlink(directory + b"/" + name)
    return 1


def _empty_othertmp(state: AnnexState) -> list[str]:
    """Whoever uses the directory has a shared lock."""
    layout = state.layout
    removed = 0
    lock = LOCKS.try_exclusive(layout.lock(b"othertmp.lck"))
    if lock is not None:
        with lock:
            for name in _names(layout.othertmp):
                removed += _unlink(layout.othertmp + b"/" + name)
    return [f"removed {removed} temporary files"] if removed else []


def _clear_scratch(state: AnnexState) -> list[str]:
    """Temporary files of annexd processes that are gone. A file of the work tree may have been moved here for a moment
    when its process was killed, so whatever could be one is kept and reported."""
    scratch = state.layout.annexd_dir + b"/tmp"
    kept = []
    for name in _names(scratch):
        pid = name.partition(b"-")[0]
        if not pid.isdigit() or _is_alive(int(pid)):
            continue
        path = scratch + b"/" + name
        if name.endswith(PART) and os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        elif name.endswith(PART) or _is_replaceable(path):
            _unlink(path)
        else:
            kept.append(_keep(state.layout, path))
    return [f"kept a file that was being written or replaced: look at {display(path)}, then remove it" for path in kept]


def _is_replaceable(path: bytes) -> bool:
    """Whether the file says nothing that is not said elsewhere: a link, a pointer, a second name of other content."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0 or status.st_nlink > 1:
            return True
        return read_entry(path).kind is EntryKind.POINTER
    except FileNotFoundError:
        return True


def _keep(layout: RepoLayout, path: bytes) -> bytes:
    directory = layout.annexd_dir + b"/rescued"
    os.makedirs(directory, exist_ok=True)
    kept = b"%b/%b-%b" % (directory, os.path.basename(path), secrets.token_hex(4).encode())
    os.rename(path, kept)
    return kept


def _populate_smudged(state: AnnexState) -> list[str]:
    found = smudge_log.pending(state.layout)
    if not found or state.repo.is_bare:
        return []
    keys = dict.fromkeys(smudged.key for smudged in found)
    result = worktree.populate(state, [key for key in keys if state.store.is_present(key)])
    smudge_log.forget(state.layout, found)
    if not result.populated:
        return []
    return [f"put the content of {len(result.populated)} files in place that were checked out as pointers"]


def _restage(state: AnnexState) -> list[str]:
    """Have the index learn the stat of files whose content came or went while the index was locked."""
    waiting = restage.pending(state.layout)
    if not waiting or state.repo.is_bare:
        return []
    stats = {path: found for path in waiting if (found := _verified(state, path)) is not None}
    done = refresh_stat(state, stats, Deadline(_INDEX_SECONDS))
    if stats and not done:
        return []
    restage.forget(state.layout, frozenset(waiting))
    return [f"told git's index about {len(done)} files"] if done else []


def _verified(state: AnnexState, path: bytes) -> tuple[Oid, os.stat_result] | None:
    """The index's blob and the file's stat when the file is what the blob stands for; None when git has to look."""
    assert state.repo.work_tree is not None
    if not _is_inside(path):
        return None
    entry = state.index.current().get(path)
    blob = None if entry is None else state.objects.read_blob(entry.oid)
    key = None if blob is None else parse_pointer(blob)
    if entry is None or key is None:
        return None
    place = state.repo.work_tree + b"/" + path
    before = read_entry(place)
    if before.stat is None or (before.kind is EntryKind.POINTER and before.key != key):
        return None
    if before.kind is EntryKind.FILE and verify_file(place, key) is not Verdict.MATCHES:
        return None
    if before.kind not in (EntryKind.FILE, EntryKind.POINTER) or not unchanged(before.stat, os.lstat(place)):
        return None
    return entry.oid, before.stat


def _is_inside(path: bytes) -> bool:
    try:
        check_repo_path(path)
    except UnsafePath:
        return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _names(directory: bytes) -> list[bytes]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unlink(path: bytes) -> int:
    with suppress(FileNotFoundError, IsADirectoryError):
        os.unlink(path)
        return 1
    return 0
