"""Takes single files into the annex or into git: what the committer does between looking and staging. Holds no lock."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from annexd.annex.add_policy import ATTRIBUTES, AddDecision, AddPolicy
from annexd.annex.commit import IndexUpdate
from annexd.annex.config import AnnexConfig
from annexd.annex.ingest import SMALL, AddAs, IngestOptions, ingest_file, same_file
from annexd.annex.ingest_worker import Request, Setup
from annexd.annex.layout import RepoLayout
from annexd.annex.objects import ObjectStore
from annexd.annex.settings import Settings
from annexd.annex.store_place import StorePlace
from annexd.assistant.classify import Finding, git_mode
from annexd.assistant.root_guard import means_gone
from annexd.backends.registry import backend, key_under_name
from annexd.errors import AnnexError, ConfigError, ContentChanged
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.formats.pointer import MAX_POINTER, link_target, parse_link, parse_pointer, pointer_for
from annexd.git.attributes import CheckAttr, CheckIgnore
from annexd.git.clean import Cleaner
from annexd.git.repository import GitRepository
from annexd.git.tree import MODE_LINK
from annexd.system.rename import replace_expected

LARGEST_IN_MEMORY = 64 << 20    # bytes of a file for git itself; git too would keep it in memory


class Taken(NamedTuple):
    """What git's index shall say of a path; `key` when it is annexed, `is_content` when its content is here now."""

    update: IndexUpdate
    key: Key | None = None
    is_content: bool = False


class Skipped(NamedTuple):
    """Why a path is not taken in."""

    path: bytes
    reason: str


class Intake:
    """Belongs to the committer's thread. `prepare` gives it the settings for the next batch."""

    def __init__(self, repo: GitRepository, layout: RepoLayout, store: ObjectStore) -> None:
        self._layout = layout
        self._store = store
        self._top = layout.work_tree or b""
        self._attributes = CheckAttr(repo, ATTRIBUTES)
        self._ignores = CheckIgnore(repo)
        self._cleaner = Cleaner(repo)
        self._options = IngestOptions()
        self._policy: AddPolicy | None = None
        self._seen: tuple[AnnexConfig, Settings, bool] | None = None

    def prepare(
        self, config: AnnexConfig, settings: Settings, store: ObjectStore, *, always_unlocked: bool = False
    ) -> None:
        """Act by these settings from now on."""
        self._store = store
        seen = (config, settings, always_unlocked)
        if self._seen is None or any(now is not before for now, before in zip(seen, self._seen, strict=True)):
            self._seen = seen
            self._options = IngestOptions.of(config)
            self._policy = AddPolicy(config, settings, self._attributes, always_unlocked=always_unlocked)

    def forget_rules(self) -> None:
        """.gitignore or .gitattributes changed: read them anew."""
        self._attributes.reset()
        self._ignores.reset()
        self._cleaner.reset()

    def ignored(self, paths: Iterable[bytes]) -> frozenset[bytes]:
        """Those of the paths that git ignores."""
        return frozenset(self._ignores.ignored_many(paths))

    def expect(self, paths: Iterable[bytes]) -> None:
        """These files will be taken: ask for their attributes at once. Raises GitError."""
        if self._policy is not None:
            self._policy.prefetch(paths)

    def take_file(
        self, finding: Finding, known: Key | None = None, *, was_unlocked: Callable[[], bool] = lambda: False
    ) -> Taken | Skipped:
        """A regular file; with `known` its content was that of the key when it was found. One that `was_unlocked` stays
        so, whatever annex.addunlocked says: that is for new files. Raises ContentChanged, ContentError, NoSpace,
        ConfigError, OSError.
        """
        status, path = finding.stat, finding.path
        assert status is not None and self._policy is not None      # `look` and `prepare` came first
        path_abs = self._top + b"/" + path
        read = None
        if known is None and 0 < status.st_size <= MAX_POINTER:
            read = self._read(path_abs, status.st_size)
            pointer = parse_pointer(read)
            if pointer is not None:
                update = IndexUpdate(path, git_mode(status), pointer_for(pointer), None, status)
                return Taken(update, pointer)
        decision = self._policy.decide(path, status.st_size, path_abs)
        match decision.add_to:
            case AddDecision.GIT:
                return Taken(self._blob(path, path_abs, status))
            case AddDecision.SKIP:
                return Skipped(path, decision.reason)
            case AddDecision.ANNEX_LOCKED:
                add_as = AddAs.UNLOCKED if was_unlocked() else AddAs.LOCKED
            case AddDecision.ANNEX_UNLOCKED:
                add_as = AddAs.UNLOCKED
        if status.st_size == 0 and add_as is AddAs.UNLOCKED:
            return Taken(self._blob(path, path_abs, status))
        chosen = backend(decision.backend)
        if chosen is None:
            raise ConfigError(f"annex.backend is {display(decision.backend)}, which is not known", hint="use SHA256E")
        done = ingest_file(
            self._store, self._layout, self._options, path_abs,
            repo_path=path, backend=chosen, add_as=add_as, known=None if known is None else (known, status),
            read=None if read is None else (read, status),
        )  # fmt: skip
        if done.size != status.st_size:
            raise ContentChanged("changed since it was looked at")
        return Taken(IndexUpdate(path, done.mode, done.content, None, done.stat), done.key, is_content=True)

    def plan_with_help(self, finding: Finding) -> Request | None:
        """What another process needs to take this file, if it is a plain one: small, and to be annexed unlocked."""
        status, path = finding.stat, finding.path
        assert status is not None and self._policy is not None
        if not 0 < status.st_size <= SMALL:
            return None
        path_abs = self._top + b"/" + path
        try:
            decision = self._policy.decide(path, status.st_size, path_abs)
        except (AnnexError, OSError):       # whoever takes it by himself tells
            return None
        if decision.add_to is not AddDecision.ANNEX_UNLOCKED:
            return None
        return Request(path_abs, decision.backend, status)

    def helper_setup(self) -> Setup | None:
        """How another process takes files as we do; None before `prepare`."""
        return None if self._seen is None else Setup(StorePlace.of(self._layout, self._seen[0]), self._options)

    def taken_with_help(self, finding: Finding, key: Key) -> Taken:
        """What became of a file that another process took: it is as it was found, and its content is here."""
        status = finding.stat
        assert status is not None
        update = IndexUpdate(finding.path, git_mode(status), pointer_for(key), None, status)
        return Taken(update, key, is_content=True)

    def take_renamed(self, finding: Finding, old: Key) -> Taken | Skipped:
        """A file with the content of `old`, which is here, under a new name. That may call for another key: who adds
        the file again, git's filter say, finds that one. Nothing is read. Raises as `take_file`.
        """
        name = finding.path[finding.path.rfind(b"/") + 1 :]
        wanted = key_under_name(old, name, self._options.max_extension_length, self._options.max_extensions)
        place = self._store.locate(old)
        if wanted is None or place is None:
            return self.take_file(finding)
        if wanted != old:
            with suppress(OSError):     # no hard links here: then the file is read
                self._store.link_in(place, wanted)
        return self.take_file(finding, wanted, was_unlocked=lambda: True)

    def take_link(self, finding: Finding) -> Taken:
        """A symbolic link; one that leads to an object is made to lead there from where it is now. Raises OSError."""
        path_abs = self._top + b"/" + finding.path
        target, seen = _target(path_abs, finding), finding.stat
        key = parse_link(target)
        if key is not None and finding.stat is not None and stat.S_ISLNK(finding.stat.st_mode):
            right = link_target(finding.path, self._layout.link_object_path(key))
            if right != target:
                target, seen = right, self._relink(path_abs, target, right)
        now = os.lstat(path_abs)
        if seen is None or (now.st_ino, now.st_mtime_ns) != (seen.st_ino, seen.st_mtime_ns):
            raise ContentChanged("changed since it was looked at")
        return Taken(IndexUpdate(finding.path, MODE_LINK, target, None, now), key)

    def close(self) -> None:
        """End the helper processes."""
        self._attributes.close()
        self._ignores.close()
        self._cleaner.close()

    def _read(self, path_abs: bytes, size: int) -> bytes:
        """A short file as it is now, `size` bytes if nobody changed it meanwhile."""
        try:
            fd = os.open(path_abs, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if means_gone(error) or error.errno in (errno.ELOOP, errno.ENXIO):      # a link or a FIFO by now
                raise ContentChanged("vanished while it was being added") from error
            raise
        try:
            return os.read(fd, size + 1)
        finally:
            os.close(fd)

    def _blob(self, path: bytes, path_abs: bytes, seen: os.stat_result) -> IndexUpdate:
        """For git itself. The decision was made for the file as it was `seen`, so it must be that still."""
        fd = os.open(path_abs, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(fd)
            if not same_file(seen, before):
                raise ContentChanged("changed since it was looked at")
            data = b"".join(iter(lambda: os.read(fd, max(before.st_size + 1, 1)), b""))
            after = os.fstat(fd)
        finally:
            os.close(fd)
        if not same_file(before, after) or len(data) != after.st_size:
            raise ContentChanged("changed while it was being added")
        auto = self._seen is not None and self._seen[0].normalises_line_ends
        if data and self._cleaner.changes(path, auto=auto):
            return IndexUpdate(path, git_mode(after), None, self._cleaner.blob(path, data), after)
        return IndexUpdate(path, git_mode(after), data, None, after)

    def _relink(self, path_abs: bytes, old: bytes, new: bytes) -> os.stat_result | None:
        """The stat of the new link; None when the old one is not there any more."""
        temp = self._store.temp_path()
        os.makedirs(os.path.dirname(temp), exist_ok=True)
        os.symlink(new, temp)
        try:
            made = os.lstat(temp)
            if not _leads_to(path_abs, old) or not replace_expected(temp, path_abs, lambda path: _leads_to(path, old)):
                return None
            return made
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temp)


def _leads_to(path_abs: bytes, target: bytes) -> bool:
    """Whether a symlink to `target` is there."""
    return stat.S_ISLNK(os.lstat(path_abs).st_mode) and os.readlink(path_abs) == target


def _target(path_abs: bytes, finding: Finding) -> bytes:
    """Where a symlink leads; without symlinks that is the content of the file in its place."""
    if finding.stat is not None and stat.S_ISREG(finding.stat.st_mode):
        with open(path_abs, "rb") as file:
            return file.read(MAX_POINTER)
    return os.readlink(path_abs)
