"""Carries out the plan of a checkout, and can undo what it has done so far.

Source for how many files are written at once: git, design notes on parallel checkout. This process checks, removes,
makes directories and symlinks, and puts files in the place of others; workers only make new files. What they find in
their way is written afterwards, in order, by this process.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from annexd.annex.checkout_bulk import Bulk, failure
from annexd.annex.checkout_convert import Conversions
from annexd.annex.checkout_items import Item, Result
from annexd.annex.checkout_plan import Blobs, Plan, Step, is_cut_off
from annexd.annex.checkout_worker import COLLIDED, CONTENT, LOST
from annexd.annex.ingest import store_content
from annexd.annex.objects import PART
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import EXECUTABLE_MODE, GITLINK_MODE, LINK_MODE
from annexd.annex.work_files import WorkFiles, unchanged
from annexd.errors import AnnexError, ContentChanged, UnsafePath
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.git.packed_stat import packed_stat
from annexd.git.tree import Blob
from annexd.system.logging import get_logger
from annexd.threads.faults import reach

log = get_logger(__name__)


@dataclass(slots=True)
class CheckoutResult:
    """What a checkout did. With `blocked` paths it did nothing at all.

    `missing` are keys of files whose content is not here, `populated` counts files that got theirs, `adopted` are keys
    whose content came into the annex from files that lay in the work tree: the location log has to be told.
    `collided` are paths that stand for the same file as another one, which was written last and is what is there.
    """

    written: int = 0
    removed: int = 0
    missing: list[Key] = field(default_factory=list)
    adopted: list[Key] = field(default_factory=list)
    populated: int = 0
    blocked: list[bytes] = field(default_factory=list)
    collided: list[bytes] = field(default_factory=list)


class Run:
    """One checkout. `stats` are those of the files as they are now, `packed` those of the files that workers made."""

    def __init__(self, state: AnnexState, work: WorkFiles, blobs: Blobs, conversions: Conversions) -> None:
        self.result = CheckoutResult()
        self.stats: dict[bytes, os.stat_result] = {}
        self.packed: dict[bytes, bytes] = {}
        self._state = state
        self._work = work
        self._blobs = blobs
        self._store = state.store
        self._thin = state.config.thin
        self._conversions = conversions
        self._converted: dict[bytes, bytes] = {}    # files that git has written for us, by path
        self._done: list[Step] = []
        self._made: set[bytes] = set()        # directories that were needed
        self._again: list[Step] = []        # what workers could not write
        self._lost: set[bytes] = set()      # what they died over
        self._alike: dict[str, list[bytes]] | None = None
        self._problem: AnnexError | OSError | None = None

    def execute(self, plan: Plan) -> None:
        """Removals first, so that a directory can come where a file was, and the reverse. What is not for workers is
        written before they begin: a symlink that came meanwhile could lead them astray.
        """
        emptied: set[bytes] = set()
        for step in plan.steps:
            if step.new is None:
                self._remove(step, emptied)
        for directory in sorted(emptied, key=len, reverse=True):
            self._work.remove_empty_directories(directory)
        for directory in plan.directories:
            self._clear_directory(directory)
        self._converted = self._conversions.written_by_git({
            step.path: step.new for step in plan.steps if step.new is not None and not step.is_done
        })  # fmt: skip
        bulk = Bulk(self._state)
        eligible = [step for step in plan.steps if step.new is not None and self._is_eligible(step, step.new)]
        if not bulk.is_worth(len(eligible)):
            eligible = []
        later = {step.path for step in eligible}
        for step in plan.steps:
            if step.new is not None and step.path not in later:
                self._write(step, step.new)
        self._write_many(bulk, eligible)

    def undo(self) -> dict[bytes, os.stat_result]:
        """Bring back what was there, as far as nobody changed it since; the stat of what was brought back."""
        stats, packed = self.stats, self.packed
        self.stats, self.packed = {}, {}
        self._work.forget_directories()     # one that somebody renamed meanwhile has to be made again
        with suppress(AnnexError, OSError):
            self._converted = self._conversions.written_by_git({
                step.path: step.old for step in self._done if step.old is not None
            })  # fmt: skip
        for step in reversed(self._done):
            try:
                self._undo_step(step, stats.get(step.path), packed.get(step.path))
            except (ContentChanged, FileExistsError):
                continue        # somebody's newer file stays
            except (AnnexError, OSError) as error:
                log.warning("checkout.not_undone", path=step.path, reason=str(error))
        for directory in sorted(self._made, key=len, reverse=True):
            self._work.remove_empty_directories(directory)
        return self.stats

    def bring_back(self, gone: Mapping[bytes, Blob]) -> dict[bytes, os.stat_result]:
        """Write files that are missing, as far as nothing is there now; the stat of each that was written."""
        self._converted = self._conversions.written_by_git(gone)
        for path, blob in gone.items():
            try:
                self._work.make_directories(_parent(path))
                self._put(path, blob, None)
            except (AnnexError, OSError) as error:
                log.warning("checkout.not_undone", path=path, reason=str(error))
        return self.stats

    def _undo_step(self, step: Step, placed: os.stat_result | None, packed: bytes | None) -> None:
        if packed is not None:
            status = self._work.lstat(step.path)
            if status is not None and packed_stat(status) == packed:
                self._work.remove(step.path, status)
            placed = None
        elif step.old is None:
            assert placed is not None       # what was written has a stat
            with suppress(FileNotFoundError):
                self._work.remove(step.path, placed)
        if step.old is not None:
            self._work.make_directories(_parent(step.path))
            self._put(step.path, step.old, placed)

    # one after the other

    def _remove(self, step: Step, emptied: set[bytes]) -> None:
        if step.old is not None and step.old[0] == GITLINK_MODE:
            with suppress(OSError):     # a submodule with files in it stays, as with git
                os.rmdir(self._work.absolute(step.path))
        elif step.seen is not None:
            self._work.remove(step.path, step.seen)
            self._done.append(step)
            self.result.removed += 1
        emptied.add(_parent(step.path))

    def _write(self, step: Step, new: Blob) -> None:
        if step.is_done:
            if step.seen is not None:
                self.stats[step.path] = step.seen
                self._adopt(step.path, new)
            self._note_missing(new)
            return
        self._made.add(_parent(step.path))
        try:
            self._work.make_directories(_parent(step.path))
        except UnsafePath:
            self._write_again(step, new)
            return
        if step.old is not None and step.seen is not None and _differ_in_mode_only(step.old, new):
            self.stats[step.path] = self._work.set_executable(
                step.path, step.seen, executable=new[0] == EXECUTABLE_MODE
            )
        elif step.seen is None and new[0] != GITLINK_MODE and self._work.lstat(step.path) is not None:
            self._write_again(step, new)
            return
        else:
            self._put(step.path, new, step.seen)
        self._note_done(step)

    def _put(self, path: bytes, blob: Blob, seen: os.stat_result | None) -> None:
        """Write one file, in the place of what was `seen` there."""
        mode, oid = blob
        if mode == GITLINK_MODE:
            self._work.make_directories(path)
            self.stats[path] = os.lstat(self._work.absolute(path))
            return
        if seen is None and mode == LINK_MODE:
            self._note_missing(blob)
            self.stats[path] = self._work.new_symlink(self._blobs.data(oid), path)
            return
        self._place(self._temp(path, blob), path, seen)

    def _place(self, temp: bytes, path: bytes, seen: os.stat_result | None) -> None:
        if seen is None:
            self.stats[path] = self._work.place_new(temp, path)
        else:
            self.stats[path] = self._work.replace(temp, path, seen)

    def _temp(self, path: bytes, blob: Blob) -> bytes:
        mode, oid = blob
        key = self._blobs.key(blob)
        if mode == LINK_MODE:
            self._note_missing(blob)
            return self._work.temp_symlink(self._blobs.data(oid))
        if path in self._converted:
            return self._store.own_temp(self._converted.pop(path))
        executable = mode == EXECUTABLE_MODE
        if key is not None:
            temp = self._work.temp_content(self._store.locate(key), key, executable=executable, thin=self._thin)
            if temp is not None:
                self.result.populated += 1
                return temp
            self.result.missing.append(key)
        return self._work.temp_bytes(self._blobs.data(oid), executable=executable)

    def _note_done(self, step: Step) -> None:
        self._done.append(step)
        self.result.written += 1
        reach("checkout-half")

    def _adopt(self, path: bytes, blob: Blob) -> None:
        """A file that was there with the content of a key may be the only copy of it."""
        key = self._blobs.key(blob)
        if key is None or blob[0] == LINK_MODE or self._store.is_present(key):
            return
        if store_content(self._store, self._work.absolute(path), key):
            self.result.adopted.append(key)

    def _note_missing(self, blob: Blob) -> None:
        key = self._blobs.key(blob)
        if key is not None and not self._store.is_present(key):
            self.result.missing.append(key)

    def _clear_directory(self, path: bytes) -> None:
        """Remove a directory, if it is still there, that holds nothing but directories."""
        for base, _, _ in os.walk(self._work.absolute(path), topdown=False):
            os.rmdir(base)
        self._work.forget_directories()

    # many at once

    def _is_eligible(self, step: Step, new: Blob) -> bool:
        """Whether a worker may write it: a regular file that nobody but us has a filter for, and not too large to be
        held in memory with many others.
        """
        mode, oid = new
        if step.is_done or mode in (LINK_MODE, GITLINK_MODE) or step.path in self._converted:
            return False
        if step.old is not None and step.seen is not None and _differ_in_mode_only(step.old, new):
            return False
        return self._blobs.key(new) is not None or self._blobs.is_loaded(oid)

    def _write_many(self, bulk: Bulk, steps: list[Step]) -> None:
        everything, steps = steps, []
        for step in everything:
            parent = _parent(step.path)
            self._made.add(parent)
            try:
                self._work.make_directories(parent)
                steps.append(step)
            except UnsafePath:
                self._again.append(step)
        if steps:
            targets = [b""] * len(steps)
            bulk.write(
                len(steps),
                lambda number: self._item(bulk, steps, number, targets),
                lambda number, result: self._written(steps[number], targets[number], result),
            )
        if self._problem is not None:
            raise self._problem
        order = {step.path: number for number, step in enumerate(everything)}
        for step in sorted(self._again, key=lambda step: order[step.path]):
            if step.new is not None:
                self._write_again(step, step.new)

    def _item(self, bulk: Bulk, steps: list[Step], number: int, targets: list[bytes]) -> Item:
        path, _, new, seen, _ = steps[number]
        assert new is not None
        mode, oid = new
        key = self._blobs.key(new)
        is_in_place = seen is None and (key is None or bulk.fits_in_place(key))
        target = targets[number] = path if is_in_place else self._store.temp_path() + PART
        data, executable = self._blobs.data(oid), mode == EXECUTABLE_MODE
        if key is None:
            return Item(target, executable, data)
        return bulk.content(target, key, self._blobs.key_name(oid, key), data, executable=executable)

    def _written(self, step: Step, target: bytes, result: Result) -> None:
        """What became of a file that a worker was to write; keeps the first problem for the end."""
        outcome, detail = result
        path = step.path
        if outcome == CONTENT and target is path and isinstance(detail, bytes):     # as nearly all are
            self.packed[path] = detail
            self.result.populated += 1
            self._note_done(step)
            return
        if outcome in (COLLIDED, LOST):
            self._again.append(step)
            if outcome == LOST:
                self._lost.add(path)
                if target != path:
                    _unlink_quietly(target)
            return
        if (problem := failure(result, path)) is not None:
            self._problem = self._problem or problem
            return
        if target is path:
            assert isinstance(detail, bytes)
            self.packed[path] = detail
        else:
            try:
                self._place(target if step.seen is None else self._store.own_temp(target), path, step.seen)
            except (AnnexError, OSError) as problem_here:
                self._problem = self._problem or problem_here
                return
        if outcome == CONTENT:
            self.result.populated += 1
        elif step.new is not None and (key := self._blobs.key(step.new)) is not None:
            self.result.missing.append(key)
        self._note_done(step)

    # collisions

    def _write_again(self, step: Step, new: Blob) -> None:
        """Write a file whose place is taken by one that we made ourselves: where the file system takes their paths for
        the same, or half of it by a worker that died. Raises ContentChanged when it is anybody else's.
        """
        path = step.path
        self._clear_leading(path)
        self._made.add(_parent(path))
        self._work.make_directories(_parent(path))
        status = self._work.lstat(path)
        if status is not None and not (step.seen is not None and unchanged(step.seen, status)):
            if self._is_ours(path, status):
                self.result.collided.append(path)
            elif path not in self._lost or not self._is_cut_off(path, status, new):
                raise ContentChanged(f"{display(path)} appeared while it was being checked out")
        self._put(path, new, status)
        if self._alike is not None:
            self._alike.setdefault(_folded(path), []).append(path)
        self._note_done(step)

    def _is_cut_off(self, path: bytes, status: os.stat_result, new: Blob) -> bool:
        return is_cut_off(self._work.absolute(path), status, new, self._blobs, self._store)

    def _clear_leading(self, path: bytes) -> None:
        """Where a directory is needed, a file or symlink that we made ourselves gives way to it."""
        self._work.forget_directories()
        place = b""
        for name in path.split(b"/")[:-1]:
            place = place + b"/" + name if place else name
            status = self._work.lstat(place)
            if status is not None and not stat.S_ISDIR(status.st_mode) and self._is_ours(place, status):
                self._work.remove(place, status)
                self.result.collided.append(path)
                return

    def _is_ours(self, path: bytes, status: os.stat_result) -> bool:
        """Whether what is at `path` was made in this checkout, under this name or one like it.

        Where files have no inode numbers of their own, each of their names has another one.
        """
        if packed_stat(status) in self.packed.values():
            return True
        if any(status.st_ino == made.st_ino and status.st_dev == made.st_dev for made in self.stats.values()):
            return True
        if self._alike is None:
            self._alike = {}
            for made_path in (*self.stats, *self.packed):
                self._alike.setdefault(_folded(made_path), []).append(made_path)
        return any(_is_same(self._work.lstat(other), status) for other in self._alike.get(_folded(path), ()))


def _folded(path: bytes) -> str:
    """The same for paths that some file system takes for one."""
    return unicodedata.normalize("NFC", os.fsdecode(path).casefold())


def _is_same(one: os.stat_result | None, other: os.stat_result) -> bool:
    return one is not None and (one.st_mode, one.st_size, one.st_mtime_ns) == (
        other.st_mode, other.st_size, other.st_mtime_ns,
    )  # fmt: skip


def _differ_in_mode_only(old: Blob, new: Blob) -> bool:
    return old[1] == new[1] and old[0] != new[0] and LINK_MODE not in (old[0], new[0])


def _parent(path: bytes) -> bytes:
    return path[: max(path.rfind(b"/"), 0)]




def _unlink_quietly(path: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
