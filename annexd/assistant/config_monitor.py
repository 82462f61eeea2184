"""Makes changed settings count while the daemon runs: git config, remotes, rules, and logs of the git-annex branch."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from annexd.annex.config import AnnexConfig
from annexd.annex.shared import SharedAnnex
from annexd.annex.state import AnnexState
from annexd.assistant.alerts import Alerts
from annexd.assistant.changes import Commits, Reconnect, Scan, ScanRequest, TreeScan, TreeScans
from annexd.assistant.status import RemoteStatus, Severity, StatusBoard
from annexd.assistant.transfer_scanner import ScanItems
from annexd.assistant.turn import WorkTreeTurn
from annexd.errors import AnnexError
from annexd.formats.paths import display
from annexd.remotes.contract import RemoteSpec
from annexd.remotes.registry import load_specs
from annexd.system.fswatch import FsEvent, TreeWatcher
from annexd.system.logging import get_logger
from annexd.threads.latest import Latest
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.slot_count import slots_wanted
from annexd.transfer.transfers import RemoteTable, Transfers

SHOWN = 60      # bytes of a damaged line that an alert shows

log = get_logger(__name__)

Specs = tuple[RemoteSpec, ...]


class Setting(enum.Enum):
    """What kind of settings may have changed."""

    CONFIG = "git config"
    RULES = "ignore rules and attributes"
    BRANCH = "settings in the git-annex branch"
    MOUNTS = "mounted file systems"


SettingNews = Pool[Setting]


class ConfigMonitor:
    """One thread. Its own state copy is for looking at remotes, which may block."""

    def __init__(
        self,
        news: SettingNews,
        own: AnnexState,
        shared: SharedAnnex,
        turn: WorkTreeTurn,
        specs: Latest[Specs],
        table: RemoteTable,
        transfers: Transfers,
        commits: Commits,
        tree_scans: TreeScans,
        transfer_scans: ScanItems,
        alerts: Alerts,
        board: StatusBoard,
        *,
        on_rules_changed: Callable[[], None],
    ) -> None:
        self._news = news
        self._own = own
        self._shared = shared
        self._turn = turn
        self._specs = specs
        self._table = table
        self._transfers = transfers
        self._commits = commits
        self._tree_scans = tree_scans
        self._transfer_scans = transfer_scans
        self._alerts = alerts
        self._board = board
        self._on_rules_changed = on_rules_changed

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. Blocks on news alone."""
        try:
            while news := self._news.drain(stop):
                try:
                    self._take(frozenset(news))
                except OSError as error:        # the work tree is away; when it is back everything is news
                    log.info("settings.unread", reason=str(error))
        finally:
            self._own.close()

    def _take(self, news: frozenset[Setting]) -> None:
        if Setting.CONFIG in news or Setting.BRANCH in news:
            self._reload()
        if Setting.RULES in news:
            self._on_rules_changed()
            self._tree_scans.put(TreeScan.UNTRACKED)
        self._look_at_remotes()

    def _reload(self) -> None:
        before = self._shared.config
        try:
            self._own.reload_config()
            damaged = self._own.settings.damaged        # read now, and not by others under the lock
            with self._shared.locked() as annex:
                annex.reload_config_of(self._own)
            with self._turn.held() as annex:
                annex.reload_config_of(self._own)
        except AnnexError as error:
            message = f"the settings as they are now are not used: {error}"
            self._alerts.raise_alert("config", message, severity=Severity.ERROR)
            return
        self._alerts.clear("config")
        self._act_on(before, self._shared.config)
        self._tell_of_damage(damaged)

    def _tell_of_damage(self, damaged: Mapping[bytes, bytes]) -> None:
        if damaged:
            shown = ", ".join(f"{display(name)} ({display(line[:SHOWN])})" for name, line in sorted(damaged.items()))
            self._alerts.raise_alert(
                "settings-logs",
                f"lines that make no sense in logs of the git-annex branch are passed over: {shown}",
                hint="git log git-annex shows where they came from",
            )
        else:
            self._alerts.clear("settings-logs")

    def _act_on(self, before: AnnexConfig, now: AnnexConfig) -> None:
        if before != now:
            log.info("config.reloaded")
        if now.jobs != before.jobs:
            self._transfers.slots.resize(slots_wanted(now.jobs))
        if now.autocommit and not before.autocommit:
            self._tree_scans.put(TreeScan.FULL)
        if now.disk_reserve != before.disk_reserve:
            self._tree_scans.put(TreeScan.FULL)
            self._transfer_scans.put(ScanRequest(None, Scan.FULL))
        if (before.dotfiles, before.large_files, before.shared_large_files, before.add_small_files) != (
            now.dotfiles, now.large_files, now.shared_large_files, now.add_small_files,
        ):  # fmt: skip
            self._tree_scans.put(TreeScan.UNTRACKED)

    def _look_at_remotes(self) -> None:
        try:
            found = load_specs(self._own)
        except AnnexError as error:
            self._alerts.raise_alert("remotes", f"the remotes cannot be read: {error}")
            return
        self._alerts.clear("remotes")
        before = self._specs.get()
        publish_remotes(self._board, found)
        if found == before:
            return
        self._specs.replace(found)
        for uuid in self._table.replace(found):
            self._transfers.requests.remote_is_gone(uuid)
        self._transfers.queue.wake()        # limits may have changed
        self._commits.put(Reconnect(None))
        known = {spec.uuid: _transfers_with(spec) for spec in before}
        for spec in found:
            if spec.uuid is not None and spec.available and _transfers_with(spec) != known.get(spec.uuid):
                self._transfer_scans.put(ScanRequest(spec.uuid, Scan.CHANGED))


def _transfers_with(spec: RemoteSpec) -> tuple[bool, ...]:
    """What decides whether content goes to and comes from a remote."""
    config = spec.config
    return (spec.available, spec.holds_content, config.sync, config.push, config.pull, config.readonly)


def publish_remotes(board: StatusBoard, specs: Sequence[RemoteSpec]) -> None:
    """Let the status tell of these remotes, and of no others."""
    known = {remote.name: remote for remote in board.get().remotes}
    for spec in specs:
        fresh = RemoteStatus(
            spec.name, os.fsdecode(spec.uuid or b""), spec.kind.value, spec.available, spec.content.reason,
        )  # fmt: skip
        old = known.get(spec.name)
        if old is None or (old.uuid, old.kind, old.note, old.available) != (
            fresh.uuid, fresh.kind, fresh.note, fresh.available,
        ):  # fmt: skip
            board.set_remote(
                spec.name, uuid=fresh.uuid, kind=fresh.kind, available=fresh.available, note=fresh.note
            )
    board.keep_remotes(frozenset(spec.name for spec in specs))


def global_config_files(environ: dict[bytes, bytes]) -> tuple[bytes, ...]:
    """The user's own git settings, which may or may not exist. Source: git, documentation of git-config, "FILES"."""
    if environ.get(b"GIT_CONFIG_GLOBAL"):
        return (environ[b"GIT_CONFIG_GLOBAL"],)
    home = environ.get(b"HOME", b"")
    xdg = environ.get(b"XDG_CONFIG_HOME") or (home + b"/.config" if home else b"")
    files = [xdg + b"/git/" + name for name in (b"config", b"ignore", b"attributes")] if xdg else []
    return (*([home + b"/.gitconfig"] if home else []), *files)


class GlobalConfigWatcher:
    """Watches the user's own git settings: one thread for each directory that they lie in."""

    def __init__(self, directory: bytes, names: frozenset[bytes], on_change: Callable[[bytes], None]) -> None:
        self._directory = directory
        self._names = names
        self._on_change = on_change

    def run(self, stop: StopSignal) -> None:
        """Until `stop`; at once over when the directory cannot be watched: SIGHUP does it then."""
        watcher = TreeWatcher(
            self._directory, self._take, lambda: self._on_change(b""), lambda _: None,
            lambda path: path not in self._names, recursive=False,
        )  # fmt: skip
        with suppress(OSError):
            watcher.open()
            try:
                watcher.run(stop)
            finally:
                watcher.close()
            return
        log.debug("config.unwatched", directory=display(self._directory))

    def _take(self, events: list[FsEvent]) -> None:
        for name in {name for event in events for name in (event.path, event.dest) if name in self._names}:
            self._on_change(name or b"")
