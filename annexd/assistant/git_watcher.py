"""Watches the git directory: refs for the merger, settings for the config monitor, locks for who waits for them."""

from __future__ import annotations

from collections.abc import Callable

from annexd.annex.layout import RepoLayout
from annexd.system.fswatch import FsEvent, TreeWatcher
from annexd.system.logging import get_logger
from annexd.threads.stop_signal import StopSignal

UNWATCHED = frozenset((b"objects", b"annex", b"hooks", b"logs", b"lfs", b"modules", b"worktrees", b"rr-cache"))
SETTINGS = frozenset((b"config", b"config.worktree", b"info/exclude", b"info/attributes"))
RULES = frozenset((b"info/exclude", b"info/attributes"))
REFS = frozenset((b"HEAD", b"packed-refs"))
PERSONS_WORK = frozenset((b"index.lock", b"MERGE_HEAD", b"CHERRY_PICK_HEAD", b"REVERT_HEAD", b"BISECT_LOG"))
PERSONS_DIRECTORIES = (b"rebase-merge", b"rebase-apply", b"sequencer")

log = get_logger(__name__)


class GitWatcher:
    """One thread. Tells `on_ref(name)` of refs that may have moved (b"" for any), `on_config(path)` of settings, and
    `on_freed()` when a lock or an unfinished merge of a person went away."""

    def __init__(
        self,
        directory: bytes,
        *,
        on_ref: Callable[[bytes], object],
        on_config: Callable[[bytes], None],
        on_freed: Callable[[], None],
        on_watching: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._on_ref = on_ref
        self._on_config = on_config
        self._on_freed = on_freed
        self._on_watching = on_watching

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. After the watches are set, everything counts as moved: it may have been before."""
        watcher = TreeWatcher(self._directory, self._take, self._lost, lambda _: self._lost(), is_unwatched)
        try:
            watcher.open()
            self._on_watching()
            self._lost()
            watcher.run(stop)
        finally:
            watcher.close()

    def _lost(self) -> None:
        self._on_ref(b"")
        self._on_config(b"")

    def _take(self, events: list[FsEvent]) -> None:
        paths = {path for event in events for path in (event.path, event.dest) if path is not None}
        for path in paths:
            if path in SETTINGS:
                self._on_config(path)
        refs = [path for path in paths if is_ref(path)]
        for ref in refs:
            self._on_ref(b"" if ref == b"packed-refs" or ref.startswith(b"reftable/") else ref)
        if any(path in PERSONS_WORK or path.startswith(PERSONS_DIRECTORIES) for path in paths):
            self._on_freed()


def is_unwatched(path: bytes) -> bool:
    """Whether a path of the git directory says nothing about refs and settings."""
    return path.split(b"/", 1)[0] in UNWATCHED or path.endswith(b".annexd") or (
        path.endswith(b".lock") and path != b"index.lock"
    )


def is_ref(path: bytes) -> bool:
    """Whether the file is, or holds, refs."""
    return path in REFS or path.startswith((b"refs/", b"reftable/"))


def directories(layout: RepoLayout) -> tuple[bytes, ...]:
    """What to watch: the git directory, and for a linked work tree its own as well."""
    return tuple(dict.fromkeys((layout.common_dir, layout.git_dir)))
