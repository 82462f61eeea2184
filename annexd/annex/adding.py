"""Adding files on request: which files of the work tree are new or changed, and what git's index is to say of each."""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from annexd.annex.add_policy import ATTRIBUTES, AddDecision, AddPolicy
from annexd.annex.adjusted import unlocks_new_files
from annexd.annex.commit import REMOVE, IndexUpdate
from annexd.annex.ingest import AddAs, IngestOptions, ingest_file
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import LINK_MODE, EntryKind, Holds, compare, git_mode, read_entry
from annexd.backends.registry import backend_for_new_keys
from annexd.errors import ContentError
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.formats.pointer import link_target, parse_pointer, pointer_for
from annexd.git.attributes import CheckAttr
from annexd.git.repository import GitRepository
from annexd.git.scan import WorkTreeChange, parse_raw_diff

_MANY_PATHS = 200


class Force(enum.Enum):
    """Where files go whatever the settings say."""

    NO = "as the settings say"
    ANNEX = "to the annex"
    GIT = "to git"


class Added(NamedTuple):
    """What one file became. Without `update` git is to add it itself, for the `reason`; `key` is set when annexed."""

    update: IndexUpdate | None
    key: Key | None = None
    reason: str = ""


OnStart = Callable[[], Callable[[int], None]]


class Adder:
    """Adds single files; owned by one thread, closed by its owner. `record` notes whose content is here now."""

    def __init__(
        self,
        state: AnnexState,
        *,
        when_unset: AddAs = AddAs.LOCKED,
        backend: bytes | None = None,
        force: Force = Force.NO,
        record: Callable[[Key], object] | None = None,
    ) -> None:
        self._state = state
        self._record = record or (lambda key: state.locations.record(key, state.uuid, Presence.PRESENT))
        self._force = force
        self._top = state.layout.work_tree or b""
        self._attributes = CheckAttr(state.repo, ATTRIBUTES)
        self._options = IngestOptions.of(state.config)
        self._policy = AddPolicy(
            state.config, state.settings, self._attributes,
            when_unset=when_unset, always_unlocked=unlocks_new_files(state.refs.head()), backend=backend,
        )  # fmt: skip

    def add(self, path: bytes, on_start: OnStart | None = None) -> Added | None:
        """Take the file at `path` into the annex, or tell that it belongs into git; None when it is left alone.

        `on_start` is called before content is read, and gives what is to be told of the bytes read so far.
        Raises ContentChanged, ContentError, NoSpace, ConfigError, OSError.
        """
        path_abs = self._top + b"/" + path
        found = read_entry(path_abs)
        match found.kind:
            case EntryKind.LINK | EntryKind.OTHER_LINK:
                return self._link(path, path_abs)
            case EntryKind.POINTER:
                assert found.stat is not None and found.key is not None
                update = IndexUpdate(path, git_mode(found.stat), pointer_for(found.key), None, found.stat)
                return Added(update)
            case EntryKind.FILE:
                assert found.stat is not None
                return self._file(path, path_abs, found.stat, on_start)
            case EntryKind.MISSING:
                raise ContentError(f"{display(path)} not found")
            case _:
                return None

    def close(self) -> None:
        """End the helper process."""
        self._attributes.close()

    def _link(self, path: bytes, path_abs: bytes) -> Added:
        """A link to an object is made to lead there from where it is now; any other is git's."""
        found = read_entry(path_abs)
        if found.kind is not EntryKind.LINK or found.key is None or found.stat is None:
            return Added(None)
        target = link_target(path, self._state.layout.link_object_path(found.key))
        status = found.stat
        if target != found.target:
            from annexd.annex.relock import work_files

            work = work_files(self._state)
            status = work.replace(work.temp_symlink(target), path, found.stat)
        return Added(IndexUpdate(path, LINK_MODE, target, None, status))

    def _file(
        self, path: bytes, path_abs: bytes, status: os.stat_result, on_start: OnStart | None
    ) -> Added | None:
        decision = self._policy.decide(path, status.st_size, path_abs)
        add_to = decision.add_to
        if self._force is Force.GIT:
            return Added(None)
        if self._force is Force.ANNEX and add_to in (AddDecision.GIT, AddDecision.SKIP):
            add_to = self._policy.annexed(path, status.st_size, path_abs)
        if add_to is AddDecision.SKIP:
            return None
        if add_to is AddDecision.GIT:
            return Added(None, reason=decision.reason)
        # An empty file that is unlocked gets git's own merge and stash in trouble.
        unlocked = add_to is AddDecision.ANNEX_UNLOCKED and status.st_size > 0
        backend = backend_for_new_keys(decision.backend)
        done = ingest_file(
            self._state.store,
            self._state.layout,
            self._options,
            path_abs,
            repo_path=path,
            backend=backend if on_start is None else backend.watched(on_start()),
            add_as=AddAs.UNLOCKED if unlocked else AddAs.LOCKED,
        )
        self._record(done.key)
        return Added(IndexUpdate(path, done.mode, done.content, None, done.stat), done.key)


def untracked_below(repo: GitRepository, paths: Sequence[bytes], *, ignored_too: bool = False) -> list[bytes]:
    """Files at or below `paths` (none: everywhere) that git does not know; embedded repositories are left out."""
    exclude = () if ignored_too else (b"--exclude-standard",)
    listing = repo.run(b"--literal-pathspecs", b"ls-files", b"-o", b"-z", *exclude, *_limit(paths))
    return [path for path in listing.split(b"\0") if path and not path.endswith(b"/")]


def changed_below(state: AnnexState, paths: Sequence[bytes]) -> Iterator[WorkTreeChange]:
    """Files at or below `paths` that differ from the index; those of which only the stat differs are left out."""
    listing = state.repo.run(
        b"--literal-pathspecs", b"diff-files", b"-z", b"--raw", b"--ignore-submodules=all", *_limit(paths)
    )
    for change in parse_raw_diff(listing):
        if change.status in ("D", "T") or not _is_as_recorded(state, change):
            yield change


def add_to_git(state: AnnexState, paths: Iterable[bytes]) -> None:
    """Have git add these files as they are, annexing none. Raises GitError."""
    listing = b"".join(path + b"\0" for path in paths)
    if listing:
        state.repo.run(b"update-index", b"--add", b"--replace", b"-z", b"--stdin", stdin=listing)
        state.index.forget()


def removal(path: bytes) -> IndexUpdate:
    """What stages the removal of a file."""
    return IndexUpdate(path, REMOVE)


def _is_as_recorded(state: AnnexState, change: WorkTreeChange) -> bool:
    assert state.layout.work_tree is not None
    path_abs = state.layout.work_tree + b"/" + change.path
    blob = state.objects.read_blob(change.oid)
    if blob is None:
        return False
    fidelity = state.config.fidelity
    try:
        status = os.lstat(path_abs)
        if stat.S_ISDIR(status.st_mode) or not fidelity.allows(change.old_mode, status.st_mode):
            return False
        key = parse_pointer(blob)
        place = None if key is None else state.store.locate(key)
        return compare(path_abs, status, change.old_mode, blob, place, fidelity) is not Holds.NO
    except OSError:
        return False


def _limit(paths: Sequence[bytes]) -> tuple[bytes, ...]:
    if not paths or len(paths) > _MANY_PATHS:
        return ()
    return (b"--", *(path or b"." for path in paths))
