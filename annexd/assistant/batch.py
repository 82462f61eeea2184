"""From changed paths to what git's index shall say: looks at each path, takes in what is new, tells what must wait."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from annexd.annex.adjusted import unlocks_new_files
from annexd.annex.commit import REMOVE, IndexUpdate
from annexd.annex.ingest_worker import TOGETHER, IngestWorker, Request
from annexd.annex.shared import SharedAnnex
from annexd.annex.twins import on_disk, renamed_from
from annexd.annex.unfinished import at_work
from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.classify import Finding, What, git_mode, look
from annexd.assistant.commit_policy import CHUNK_SECONDS, held_back
from annexd.assistant.intake import Intake, Skipped, Taken
from annexd.assistant.renames import Renames
from annexd.assistant.root_guard import RootGuard, is_missing, means_gone
from annexd.assistant.staged import Staged
from annexd.assistant.troubles import Troubles
from annexd.assistant.turn import WorkTreeTurn
from annexd.assistant.watcher import is_git_path
from annexd.errors import BusyError, ConfigError, ContentChanged, ContentError, NoSpace
from annexd.formats.key import Key
from annexd.formats.pointer import parse_pointer
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.tree import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK
from annexd.system.files import has_open_writer
from annexd.system.logging import get_logger

CHANGED_WAIT = 0.1      # seconds until a file that changed while it was read is tried again
SPACE_WAIT = 30.0       # seconds until a full disk is tried again

UNREADABLE = "cannot be read"
CHECK_MODE = "check who may read it"

log = get_logger(__name__)


@dataclass(slots=True)
class Batch:
    """What came of one chunk of changes."""

    updates: list[IndexUpdate] = field(default_factory=list)
    keys: list[tuple[Key, bytes]] = field(default_factory=list)         # keys now in the tree, with their file
    new_content: list[Key] = field(default_factory=list)                # whose content came into the annex just now
    again: list[Change] = field(default_factory=list)                   # not got to yet
    later: list[tuple[Change, float]] = field(default_factory=list)     # to be looked at again at that moment

    def remove(self, path: bytes) -> None:
        """The index shall forget the path."""
        self.updates.append(IndexUpdate(path, REMOVE))

    def take(self, taken: Taken) -> None:
        """The index shall learn of a path."""
        self.updates.append(taken.update)
        if taken.key is not None:
            self.keys.append((taken.key, taken.update.path))
            if taken.is_content:
                self.new_content.append(taken.key)


class Helped:
    """Files on their way through the process that helps: one group is with it while the next one is put together."""

    def __init__(self, worker: IngestWorker, on_taken: Callable[[Finding, Key | None], None]) -> None:
        self._worker = worker
        self._on_taken = on_taken       # with the key, or None when it has to be done here
        self._next: list[tuple[Finding, Request]] = []
        self._away: list[Finding] = []

    def add(self, finding: Finding, request: Request) -> None:
        """Have it taken in."""
        self._next.append((finding, request))
        if len(self._next) >= TOGETHER:
            self._turn_over()

    def finish(self) -> None:
        """Wait for all of them."""
        while self._next or self._away:
            self._turn_over()

    def _turn_over(self) -> None:
        back, keys = self._away, self._worker.finish(len(self._away)) if self._away else []
        self._away = [finding for finding, _ in self._next]
        if self._next:
            self._worker.begin([request for _, request in self._next])
        self._next = []
        for finding, key in zip(back, keys, strict=True):
            self._on_taken(finding, key)


class BatchMaker:
    """Belongs to the committer's thread."""

    def __init__(
        self,
        shared: SharedAnnex,
        turn: WorkTreeTurn,
        intake: Intake,
        guard: RootGuard,
        troubles: Troubles,
    ) -> None:
        self._shared = shared
        self._turn = turn
        self._intake = intake
        self._guard = guard
        self._troubles = troubles
        self._renames = Renames()
        self._worker = IngestWorker()
        self._description: bytes | None = None      # of this repository, if it was looked up for the next commit
        layout = shared.layout
        self._top = layout.work_tree or b""

    def forget_rules(self) -> None:
        """.gitignore or .gitattributes changed."""
        self._intake.forget_rules()

    def close(self) -> None:
        """End the helper processes."""
        self._intake.close()
        self._worker.close()

    def rest(self) -> None:
        """There was nothing to do for a while: let go of what helps with many files."""
        self._worker.close()

    def make(self, changes: Sequence[Change], ready: Mapping[bytes, IndexUpdate]) -> Batch:
        """Look at the paths and take in what changed, for about half a second; `ready` waits to be committed.

        Raises BusyError while a person's git is at work: what that writes is not for us to take in.
        """
        batch = Batch()
        files = self._look(changes, ready, batch)
        if files:
            self._prepare()
            self._take_files(files, batch)
        return batch

    def message(self) -> bytes:
        """What the next commit says. Source: git-annex, commits of the assistant."""
        if self._description is None:
            self._prepare()
        description, self._description = self._description, None
        return b"git-annex in " + (description or b"")

    def _prepare(self) -> None:
        """Look at the settings as they are now; once for a batch, as it costs a look at the git-annex branch."""
        with self._shared.locked() as annex:
            settings = annex.settings
            unlocked = unlocks_new_files(annex.refs.head())
            self._intake.prepare(annex.config, settings, annex.store, always_unlocked=unlocked)
            self._description = settings.descriptions.get(annex.uuid, b"")

    # Under the turn: what is each path?

    def _look(self, changes: Sequence[Change], ready: Mapping[bytes, IndexUpdate], batch: Batch) -> list[Finding]:
        """The files and links that have to be taken in; all else is settled here."""
        files: list[Finding] = []
        missing = self._guard.missing_mounts()
        if not missing:
            self._troubles.over("unmounted")
        with self._turn.held() as annex:
            reason = at_work(annex)
            index = annex.index.current() if reason is None else GitIndex()
            staged = Staged(annex)
            for change in changes if reason is None else ():
                if is_git_path(change.path) or change.path == b"":
                    continue
                if (there := on_disk(self._top, change.path, index)) != change.path:
                    change = change._replace(path=there)
                finding = look(self._top, change, index)
                if staged.may_have(finding):
                    self._take_staged(finding, batch)
                if (key := staged.pointer_key(finding)) is not None:
                    batch.keys.append((key, change.path))
                match finding.what:
                    case What.SAME:
                        self._fine(change.path)
                    case What.FILE | What.LINK:
                        if not _is_ready(finding, ready):
                            files.append(finding)
                            self._clear_the_way(finding, index, batch)
                            for path in renamed_from(self._top, finding.path, index) if finding.entry is None else ():
                                batch.remove(path)
                    case What.MODE:
                        self._take_mode(finding, batch)
                    case What.GONE:
                        self._take_removal(finding, index, ready, missing, batch)
                    case What.DIRECTORY:
                        self._take_directory(finding, batch)
                        self._remove_gone(_missing_below(self._top, finding.path, index), index, missing, batch)
                    case What.SPECIAL | What.TROUBLE:
                        self._note_trouble(finding)
                        if finding.what is What.SPECIAL and (finding.entry is not None or finding.path in ready):
                            batch.remove(finding.path)      # the file that was there is gone
            self._renames.look_up(files, index, self._top)
            for path in self._renames.vanished():
                batch.remove(path)
        if reason is not None:
            raise BusyError(reason, hint="finish or abort it")
        return files

    def _take_staged(self, finding: Finding, batch: Batch) -> None:
        """To commit one path as the index has it is to commit what a person staged, as the index is committed whole."""
        entry = finding.entry
        if entry is not None:
            batch.updates.append(IndexUpdate(entry.path, entry.mode, None, entry.oid, finding.stat))
        else:
            batch.remove(finding.path)

    def _fine(self, path: bytes) -> None:
        if self._troubles.has_any():
            self._troubles.forget(path)

    def _clear_the_way(self, finding: Finding, index: GitIndex, batch: Batch) -> None:
        """A file where the index has a directory, or the reverse: what cannot be there any more goes first."""
        if finding.entry is not None:
            return
        for path in index.paths_under(finding.path):
            batch.remove(path)
        cut = finding.path.rfind(b"/")
        while cut > 0:
            above = finding.path[:cut]
            entry = index.get(above)
            if entry is not None and entry.mode != MODE_GITLINK:
                batch.remove(above)
            cut = above.rfind(b"/")

    def _take_mode(self, finding: Finding, batch: Batch) -> None:
        assert finding.stat is not None and finding.entry is not None       # that is what MODE means
        update = IndexUpdate(finding.path, git_mode(finding.stat), None, finding.entry.oid, finding.stat)
        batch.updates.append(update)

    def _take_removal(
        self,
        finding: Finding,
        index: GitIndex,
        ready: Mapping[bytes, IndexUpdate],
        missing: tuple[bytes, ...],
        batch: Batch,
    ) -> None:
        self._fine(finding.path)
        gone = [] if finding.entry is not None else _missing_below(self._top, finding.path, index)
        if finding.entry is not None or finding.path in ready:
            gone.append(finding.path)
        self._remove_gone(gone, index, missing, batch)

    def _remove_gone(
        self, gone: Sequence[bytes], index: GitIndex, missing: tuple[bytes, ...], batch: Batch
    ) -> None:
        for path in gone:
            if not self._guard.is_deleted(self._top + b"/" + path, missing):
                self._troubles.note(
                    "unmounted", path, "kept, because a disk that was mounted in the work tree is missing",
                    hint="mount it again, or remove its mount point if the files are to be deleted",
                )  # fmt: skip
                continue
            entry = index.get(path)
            if entry is not None and entry.is_set_aside:
                continue        # not in the work tree by a person's will
            if entry is not None:
                self._renames.remember(entry)
            batch.remove(path)

    def _take_directory(self, finding: Finding, batch: Batch) -> None:
        """What is in a directory becomes changes of its own, unless the watcher tells of them already."""
        path, path_abs = finding.path, self._top + b"/" + finding.path
        if finding.entry is not None:
            batch.remove(path)
        if os.path.lexists(path_abs + b"/.git"):
            self._note_embedded(path)
            return
        if finding.change.kind is ChangeKind.DIRECTORY and os.access(path_abs, os.R_OK | os.X_OK):
            self._fine(path)
            return
        try:
            names = os.listdir(path_abs)
        except OSError as error:
            if not means_gone(error):
                self._troubles.note("unreadable", path, UNREADABLE, error.strerror or "", CHECK_MODE)
            return
        self._fine(path)
        now = time.monotonic()
        batch.again.extend(Change(path + b"/" + name, ChangeKind.APPEARED, now) for name in names)

    def _note_embedded(self, path: bytes) -> None:
        self._troubles.note(
            "embedded", path, "left alone, as it is a git repository of its own",
            hint="make it a submodule, or move it away",
        )  # fmt: skip

    def _note_trouble(self, finding: Finding) -> None:
        if finding.what is What.SPECIAL:
            log.debug("path.skipped", path=finding.path, reason="not a file, directory or link")
            self._troubles.note("special", finding.path, "left alone, as it is no file, directory or symbolic link")
        elif finding.error is not None:
            self._troubles.note("unreadable", finding.path, UNREADABLE, finding.error.strerror or "", CHECK_MODE)

    # Without any lock: take the files in

    def _take_files(self, files: Sequence[Finding], batch: Batch) -> None:
        skip = self._not_ours(files)
        self._intake.expect(f.path for f in files if f.what is What.FILE and f.path not in skip)
        end = time.monotonic() + CHUNK_SECONDS
        helped = self._start_helper(len(files), batch)
        for finding in files:
            if finding.path in skip:
                continue
            now = time.monotonic()
            if now >= end:
                batch.again.append(finding.change)
            elif finding.entry is None and (wait := held_back(finding.change, now, self._shared.config.delay_add)):
                batch.later.append((finding.change, now + wait))
            elif helped is None or not self._take_with_help(finding, helped):
                self._take_one(finding, batch)
        if helped is not None:
            helped.finish()

    def _start_helper(self, count: int, batch: Batch) -> Helped | None:
        setup = self._intake.helper_setup()
        if setup is None or not self._worker.prepare(setup, count):
            return None

        def on_taken(finding: Finding, key: Key | None) -> None:
            if key is None:
                self._take_one(finding, batch)
            else:
                self._fine(finding.path)
                batch.take(self._intake.taken_with_help(finding, key))

        return Helped(self._worker, on_taken)

    def _take_with_help(self, finding: Finding, helped: Helped) -> bool:
        """Whether another process takes the file in."""
        if finding.what is not What.FILE or self._renames.source(finding) is not None:
            return False
        if finding.change.kind is not ChangeKind.WRITTEN and has_open_writer(self._top + b"/" + finding.path):
            return False
        request = self._intake.plan_with_help(finding)
        if request is None:
            return False
        helped.add(finding, request)
        return True

    def _not_ours(self, files: Iterable[Finding]) -> frozenset[bytes]:
        """New paths that git ignores, or that belong to an embedded repository."""
        new = [finding.path for finding in files if finding.entry is None]
        if not new:
            return frozenset()
        ignored = self._intake.ignored(new)
        known: dict[bytes, bool] = {}
        return ignored | {path for path in new if b"/" in path and self._is_embedded(path[: path.rindex(b"/")], known)}

    def _is_embedded(self, directory: bytes, known: dict[bytes, bool]) -> bool:
        found = known.get(directory)
        if found is None:
            found = os.path.lexists(self._top + b"/" + directory + b"/.git")
            if found:
                self._note_embedded(directory)
            cut = directory.rfind(b"/")
            if not found and cut > 0:
                found = self._is_embedded(directory[:cut], known)
            known[directory] = found
        return found

    def _take_one(self, finding: Finding, batch: Batch) -> None:
        """One file: the boundary at which its troubles stay its own."""
        path = finding.path
        try:
            taken = self._taken(finding)
        except ContentChanged as error:
            log.debug("path.changing", path=path, reason=error.message)
            batch.later.append((_unsure(finding.change), time.monotonic() + CHANGED_WAIT))
        except NoSpace as error:
            self._troubles.note("no-space", path, "not added, as the disk is too full", error.message, error.hint)
            batch.later.append((_unsure(finding.change), time.monotonic() + SPACE_WAIT))
        except ConfigError as error:
            self._troubles.note("settings", path, "not added, as a setting is wrong", error.message, error.hint)
            batch.later.append((_unsure(finding.change), time.monotonic() + SPACE_WAIT))
        except (ContentError, OSError) as error:
            self._trouble_with(finding, error)
        else:
            self._fine(path)
            if isinstance(taken, Skipped):
                log.debug("path.skipped", path=path, reason=taken.reason)
            elif taken is not None:
                batch.take(taken)

    def _taken(self, finding: Finding) -> Taken | Skipped | None:
        if finding.what is What.LINK:
            return self._intake.take_link(finding)
        source = self._renames.source(finding)
        if source is not None and finding.stat is not None:
            if _suffix(source.path) == _suffix(finding.path):
                return Taken(IndexUpdate(finding.path, git_mode(finding.stat), None, source.oid, finding.stat))
            with self._shared.locked() as annex:
                key = parse_pointer(annex.objects.read_blob(source.oid) or b"")
            return self._intake.take_file(finding) if key is None else self._intake.take_renamed(finding, key)
        if finding.change.kind is not ChangeKind.WRITTEN and has_open_writer(self._top + b"/" + finding.path):
            log.debug("path.skipped", path=finding.path, reason="open for writing; its closing will be told")
            return None
        return self._intake.take_file(finding, was_unlocked=lambda: self._is_unlocked(finding.entry))

    def _is_unlocked(self, entry: IndexEntry | None) -> bool:
        """Whether the index has an annexed file there that is not locked."""
        if entry is None or entry.mode not in (MODE_FILE, MODE_EXECUTABLE):
            return False
        with self._shared.locked() as annex:
            return parse_pointer(annex.objects.read_blob(entry.oid) or b"") is not None

    def _trouble_with(self, finding: Finding, error: ContentError | OSError) -> None:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and means_gone(cause):
            return      # its removal is told, or it was never more than a moment there
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(error)
        self._troubles.note("unreadable", finding.path, UNREADABLE, reason, CHECK_MODE)


def _is_ready(finding: Finding, ready: Mapping[bytes, IndexUpdate]) -> bool:
    update = ready.get(finding.path)
    if finding.change.kind is ChangeKind.WRITTEN or update is None or update.stat is None or finding.stat is None:
        return False
    return (update.stat.st_ino, update.stat.st_mtime_ns, update.stat.st_size, update.stat.st_mode) == (
        finding.stat.st_ino, finding.stat.st_mtime_ns, finding.stat.st_size, finding.stat.st_mode,
    )  # fmt: skip


def _missing_below(top: bytes, path: bytes, index: GitIndex) -> list[bytes]:
    """What the index has below a path and the work tree has not. A directory that stands there may be a new one: the
    news that another went away is the same path's, and the older.
    """
    return [below for below in index.paths_under(path) if is_missing(top + b"/" + below)]


def _suffix(path: bytes) -> bytes:
    """All that a key may take from a name."""
    name = path[path.rfind(b"/") + 1 :]
    return name[name.find(b".", 1) :] if b"." in name else b""


def _unsure(change: Change) -> Change:
    """Whoever wrote meanwhile may still have the file open."""
    return Change(change.path, ChangeKind.APPEARED, change.seen)

