"""Turns what happens in the work tree into changes for the committer, and looks for itself where no event told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from annexd.annex.work_files import TEMP_PREFIX
from annexd.assistant.alerts import Alerts
from annexd.assistant.changes import Change, ChangeKind, ChangePool, TreeScan, TreeScans, nudge
from annexd.assistant.status import Severity, StatusBoard
from annexd.errors import AnnexError
from annexd.formats.paths import display
from annexd.git import scan as git_scan
from annexd.git.repository import GitRepository
from annexd.system.fswatch import FsEvent, FsEventKind, TreeWatcher
from annexd.system.logging import get_logger
from annexd.threads.stop_signal import StopSignal

RULE_FILES = (b".gitignore", b".gitattributes")
SCAN_RETRY = 0.5            # seconds until a scan that failed is done again; doubles with each failure
LONGEST_SCAN_RETRY = 60.0

log = get_logger(__name__)

_KINDS = {
    FsEventKind.CLOSED: ChangeKind.WRITTEN,
    FsEventKind.APPEARED: ChangeKind.APPEARED,
    FsEventKind.ATTRIB: ChangeKind.TOUCHED,
    FsEventKind.GONE: ChangeKind.GONE,
    FsEventKind.DIR_GONE: ChangeKind.GONE,
    FsEventKind.DIR_APPEARED: ChangeKind.DIRECTORY,
}


def changes_of(events: Iterable[FsEvent], now: float) -> list[Change]:
    """The changes that file events stand for. A move is a removal and an arrival."""
    changes = []
    for kind, path, _, dest in events:
        if kind is FsEventKind.MOVED:
            changes.append(Change(path, ChangeKind.GONE, now))
            if dest is not None:
                changes.append(Change(dest, ChangeKind.APPEARED, now))
        else:
            changes.append(Change(path, _KINDS[kind], now))
    return changes


def is_git_path(path: bytes) -> bool:
    """Whether a path is git's own (`.git`, at the top or of an embedded repository), or a temporary file of ours."""
    if b".git" in path and b"/.git/" in b"/%b/" % path:
        return True
    return TEMP_PREFIX in path and path[path.rfind(b"/") + 1 :].startswith(TEMP_PREFIX)


class Watcher:
    """Watches the work tree. The only thread that reads file events; what it finds goes to the pool at once."""

    def __init__(
        self,
        root: bytes,
        changes: ChangePool,
        scans: TreeScans,
        alerts: Alerts,
        *,
        on_rules_changed: Callable[[], None],
        on_watching: Callable[[], None] = lambda: None,
        initial_scan: TreeScan | None = TreeScan.FULL,
    ) -> None:
        self._changes = changes
        self._scans = scans
        self._alerts = alerts
        self._on_rules_changed = on_rules_changed
        self._on_watching = on_watching
        self._initial_scan = initial_scan
        self._root = root
        self._watcher: TreeWatcher | None = None
        self._inner_mounts: frozenset[bytes] = frozenset()

    def run(self, stop: StopSignal) -> None:
        """Watch until `stop`. The watches are set before the scan is asked for, so that nothing falls between."""
        watcher = self._watcher = TreeWatcher(
            self._root, self._take, self._overflowed, self._limited, is_git_path, on_unreadable=self._unreadable
        )
        try:
            watcher.open()
            self._on_watching()
            if self._initial_scan is not None:
                self._scans.put(self._initial_scan)
            self._initial_scan = TreeScan.FULL      # after a crash of this thread, everything may have been missed
            watcher.run(stop)
        finally:
            watcher.close()

    def _take(self, events: list[FsEvent]) -> None:
        changes = changes_of(events, time.monotonic())
        if any(change.path.endswith(RULE_FILES) for change in changes):
            self._on_rules_changed()
            self._scans.put(TreeScan.UNTRACKED)
        self._changes.put_many(changes)

    def _overflowed(self) -> None:
        log.warning("watch.overflowed")
        self._scans.put(TreeScan.FULL)

    def mounts_changed(self, points: Iterable[bytes]) -> None:
        """File systems are mounted at these points now. Any change inside the work tree needs other watches and a scan.

        For one thread, which need not be the watcher's.
        """
        inner = frozenset(point for point in points if point.startswith(self._root + b"/"))
        before, self._inner_mounts = self._inner_mounts, inner
        if inner != before and self._watcher is not None:
            self._watcher.refresh()

    def _unreadable(self, path: bytes) -> None:
        """The committer looks at it, and tells a person. Git passes such directories over without a word."""
        self._changes.put(Change(path, ChangeKind.DIRECTORY, time.monotonic()))

    def _limited(self, path: bytes) -> None:
        advice = self._watcher.limit_advice() if self._watcher is not None else ""
        self._alerts.raise_alert(
            "watch-limit",
            f"the kernel's limit of watched directories is reached at {display(path) or 'the top'}; "
            "changes are now looked for every 30 seconds only",
            hint=advice,
            severity=Severity.ERROR,
        )


class TreeScanner:
    """Finds what changed while nobody watched, by asking git; runs beside the watcher so that neither waits."""

    def __init__(
        self, repo: GitRepository, scans: TreeScans, changes: ChangePool, alerts: Alerts, board: StatusBoard
    ) -> None:
        self._repo = repo
        self._scans = scans
        self._changes = changes
        self._alerts = alerts
        self._board = board

    def run(self, stop: StopSignal) -> None:
        """Do one scan for all that were asked for since the last; one that fails is done again later."""
        failures = 0
        while wanted := self._scans.drain(stop):
            scan = TreeScan.FULL if TreeScan.FULL in wanted else TreeScan.UNTRACKED
            try:
                found = self._scan(scan)
            except (AnnexError, OSError) as error:
                failures += 1
                self._failed(scan, error)
                stop.wait(min(SCAN_RETRY * 2**failures, LONGEST_SCAN_RETRY))
                continue
            failures = 0
            self._alerts.clear("scan")
            log.info("scan.finished", scan=scan.value, found=found)
            if scan is TreeScan.FULL:
                self._board.set(scan_complete=True)

    def _failed(self, scan: TreeScan, error: AnnexError | OSError) -> None:
        self._scans.put(scan)
        self._changes.put(nudge())      # the committer looks whether the work tree or the index is the trouble
        self._alerts.raise_alert("scan", f"looking for changed files failed: {error}", hint="it is tried again")

    def _scan(self, scan: TreeScan) -> int:
        found = self._tell(path.rstrip(b"/") for path in git_scan.untracked(self._repo))
        if scan is TreeScan.FULL:
            found += self._tell(git_scan.staged_paths(self._repo), ChangeKind.STAGED)
            found += self._tell(change.path for change in git_scan.changed_paths(self._repo))
        return found

    def _tell(self, paths: Iterable[bytes], kind: ChangeKind = ChangeKind.APPEARED) -> int:
        now = time.monotonic()
        changes = [Change(path, kind, now) for path in paths if not is_git_path(path)]
        self._changes.put_many(changes)
        return len(changes)
