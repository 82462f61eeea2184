"""Is what the repository has of a key right, and what it says about it? What can be put right is."""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from annexd.annex.location_log import Presence
from annexd.annex.numcopies import copies_for
from annexd.annex.state import AnnexState
from annexd.annex.verify import Depth, Progress, Verdict, verify_file
from annexd.annex.work_entries import EntryKind, read_entry
from annexd.annex.work_files import WorkFiles
from annexd.annex.worktree import populate
from annexd.errors import ContentChanged
from annexd.formats.key import Key
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.paths import display
from annexd.formats.pointer import link_target
from annexd.formats.units import format_size_short
from annexd.formats.uuid import UUID


class ProblemKind(enum.Enum):
    """What was wrong."""

    LOCATION_LOG = "the location log was wrong"
    MISSING = "content should be here, and is not"
    BAD_SIZE = "content has the wrong size"
    BAD_CONTENT = "content does not match its key"
    PERMISSIONS = "content was not protected"
    LINK = "a symlink led elsewhere"
    POINTER = "a file had no content although it is here"
    COPIES = "too few copies"


_FAILURES = frozenset((ProblemKind.MISSING, ProblemKind.BAD_SIZE, ProblemKind.BAD_CONTENT, ProblemKind.COPIES))


@dataclass(frozen=True, slots=True)
class FsckProblem:
    """One finding. `message` is what git-annex says: a note for what was put right, else lines for the reader.

    `untrusted` and `dead` are repositories that are said to have copies which do not count.
    """

    kind: ProblemKind
    message: str = ""
    untrusted: tuple[UUID, ...] = ()
    dead: tuple[UUID, ...] = ()

    @property
    def is_failure(self) -> bool:
        """Whether something is wrong still."""
        return self.kind in _FAILURES


def fsck_key(
    state: AnnexState,
    key: Key,
    file: bytes | None,
    depth: Depth = Depth.CONTENT,
    progress: Progress | None = None,
) -> list[FsckProblem]:
    """Check the content of `key`, and the work tree's `file` (from the top) of it if one is given.

    Wrong content is moved aside. Reads all content for Depth.CONTENT, so it blocks; `progress` is told how much was
    read. Raises OSError, UnsafeKey, and what `progress` raises.
    """
    shown = str(key) if file is None else display(file)
    problems = list(_check_link(state, key, file))
    problems += _check_location(state, key, shown)
    problems += _check_permissions(state, key)
    problems += _check_content(state, key, depth, progress)
    problems += _check_pointer(state, key, file)
    problems += _check_copies(state, key, file, shown)
    return problems


def _check_link(state: AnnexState, key: Key, file: bytes | None) -> Iterator[FsckProblem]:
    if file is None or state.repo.work_tree is None:
        return
    work = WorkFiles(state.repo.work_tree, state.store)
    right = link_target(file, state.layout.link_object_path(key))
    found = read_entry(work.absolute(file))
    if found.kind is not EntryKind.LINK or found.key != key or found.target == right or found.stat is None:
        return
    try:
        work.replace(work.temp_symlink(right), file, found.stat)
    except ContentChanged:
        return
    yield FsckProblem(ProblemKind.LINK, "fixing link")


def _check_location(state: AnnexState, key: Key, shown: str) -> Iterator[FsckProblem]:
    is_present = state.store.is_present(key)
    is_logged = state.uuid in state.locations.locations(key)
    if is_present == is_logged:
        return
    state.locations.record(key, state.uuid, Presence.PRESENT if is_present else Presence.MISSING)
    yield FsckProblem(ProblemKind.LOCATION_LOG, "fixing location log")
    if is_logged:
        text = f"** Based on the location log, {shown}\n** was expected to be present, but its content is missing."
        yield FsckProblem(ProblemKind.MISSING, text)


def _check_permissions(state: AnnexState, key: Key) -> Iterator[FsckProblem]:
    """Of annex.thin files the object is the file in the work tree: it has write bits and a second name."""
    path = state.store.locate(key)
    if path is None or state.config.crippled_file_system:
        return
    status = os.stat(path)
    if status.st_mode & 0o222 and status.st_nlink == 1:
        directory = os.path.dirname(path)
        state.store.lockdown.thaw_dir(directory)
        state.store.lockdown.freeze_file(path)
        state.store.lockdown.freeze_dir(directory)
        yield FsckProblem(ProblemKind.PERMISSIONS)
    elif state.store.lockdown.is_plain and stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) & 0o222:
        state.store.lockdown.freeze_dir(os.path.dirname(path))
        yield FsckProblem(ProblemKind.PERMISSIONS)


def _check_content(
    state: AnnexState, key: Key, depth: Depth, progress: Progress | None
) -> Iterator[FsckProblem]:
    path = state.store.locate(key)
    if path is None:
        return
    try:
        size = os.stat(path).st_size
        if key.size is not None and size != key.size:
            yield _set_aside(state, key, ProblemKind.BAD_SIZE, _difference(size - key.size))
        elif verify_file(path, key, depth, progress) is Verdict.DIFFERS:
            yield _set_aside(state, key, ProblemKind.BAD_CONTENT, "Bad file content")
    except FileNotFoundError:       # dropped meanwhile, which is no fault
        return


def _difference(size: int) -> str:
    return f"Bad file size ({format_size_short(abs(size))} {'larger' if size > 0 else 'smaller'})"


def _set_aside(state: AnnexState, key: Key, kind: ProblemKind, what: str) -> FsckProblem:
    path = state.store.quarantine_bad(key)
    state.locations.record(key, state.uuid, Presence.MISSING)
    top = state.repo.top
    shown = path[len(top) + 1 :] if path.startswith(top + b"/") else path
    return FsckProblem(kind, f"{what}; moved to {display(shown)}")


def _check_pointer(state: AnnexState, key: Key, file: bytes | None) -> Iterator[FsckProblem]:
    if file is None or state.repo.work_tree is None or not state.store.is_present(key):
        return
    found = read_entry(state.repo.work_tree + b"/" + file)
    if found.kind is EntryKind.POINTER and found.key == key and populate(state, [key]).populated:
        yield FsckProblem(ProblemKind.POINTER)


def _check_copies(state: AnnexState, key: Key, file: bytes | None, shown: str) -> Iterator[FsckProblem]:
    settings = state.settings
    places = sorted(state.locations.locations(key))
    dead = tuple(uuid for uuid in places if settings.trust(uuid) is TrustLevel.DEAD)
    untrusted = tuple(uuid for uuid in places if settings.trust(uuid) is TrustLevel.UNTRUSTED)
    safe = len(places) - len(dead) - len(untrusted)
    wanted = copies_for(state, file).numcopies
    if safe >= wanted or (not places and state.locations.is_dead(key)):
        return
    yield FsckProblem(ProblemKind.COPIES, _too_few(shown, safe, wanted, bool(untrusted)), untrusted, dead)


def _too_few(shown: str, safe: int, wanted: int, has_untrusted: bool) -> str:
    if safe:
        return f"Only {safe} of {wanted} trustworthy copies exist of {shown}\nBack it up with git-annex copy."
    if has_untrusted:
        return f"Only these untrusted locations may have copies of {shown}"
    return f"** No known copies exist of {shown}"
