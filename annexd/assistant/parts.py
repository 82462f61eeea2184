"""All threads of the daemon and what they share, made and connected in one place: consumers before producers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

from annexd.annex.branch import BranchUpdate
from annexd.annex.location_log import Presence
from annexd.annex.shared import SharedAnnex
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import refuse_while_at_work
from annexd.annex.worktree import annexed_paths
from annexd.assistant import git_watcher
from annexd.assistant.alerts import Alerts
from annexd.assistant.announcer import Announcer
from annexd.assistant.arrivals import ArrivalNotes, Arrivals
from annexd.assistant.batch import BatchMaker
from annexd.assistant.brake import BrakeAlerts
from annexd.assistant.changes import (
    ChangePool,
    Commit,
    Commits,
    Moved,
    Scan,
    ScanRequest,
    TreeScan,
    TreeScans,
    nudge,
)
from annexd.assistant.committer import Committer
from annexd.assistant.config_monitor import (
    ConfigMonitor,
    GlobalConfigWatcher,
    Setting,
    SettingNews,
    global_config_files,
    publish_remotes,
)
from annexd.assistant.control import Control
from annexd.assistant.git_watcher import GitWatcher
from annexd.assistant.intake import Intake
from annexd.assistant.merger import Merger, RefNews
from annexd.assistant.mount_watcher import MountWatcher
from annexd.assistant.push_lane import LaneParts
from annexd.assistant.pusher import Pusher, Specs
from annexd.assistant.root_guard import guard_of
from annexd.assistant.status import StatusBoard
from annexd.assistant.transfer_scanner import Nudge, ScanItems, TransferScanner
from annexd.assistant.transfer_scanner import nudge as nudge_scanner
from annexd.assistant.transfer_troubles import TransferTroubles
from annexd.assistant.troubles import Troubles
from annexd.assistant.turn import WorkTreeTurn
from annexd.assistant.watcher import TreeScanner, Watcher
from annexd.errors import AnnexError
from annexd.formats.key import Key
from annexd.remotes.registry import load_specs, open_remote
from annexd.sync.brake import Brake
from annexd.system.logging import get_logger
from annexd.system.mounts import read_mounts
from annexd.threads.deadline import Deadline
from annexd.threads.latest import Latest
from annexd.threads.named_thread import NamedThread
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.threads.supervisor import Supervisor
from annexd.transfer import transfers as transferring
from annexd.transfer.deferred_store import DeferredStore
from annexd.transfer.job import Direction, Finished, Job, Reason
from annexd.transfer.limiter import limiter_of
from annexd.transfer.slot_count import slots_wanted
from annexd.transfer.transfers import RemoteTable

LOCATIONS_EVERY = 5.0   # seconds that news of locations waits at most while files keep coming
BURST = 64              # queued transfers that count as files that keep coming
BATCH = 50          # keys looked up under one hold of the AnnexState lock

ARRIVAL_GAP = 5.0       # seconds; others who bring content tell of it when they have brought it all

log = get_logger(__name__)


class Parts:
    """Everything that one repository's daemon consists of. Made and started by one thread."""

    def __init__(self, state: AnnexState, board: StatusBoard, alerts: Alerts) -> None:
        self.board = board
        self.alerts = alerts
        self.layout = state.layout
        self._uuid = state.uuid
        self._top = state.layout.work_tree or b""
        self._repo = state.repo
        self._store = state.store
        self.shared = SharedAnnex(state, on_long_hold=_note_long_hold)
        self.guard = guard_of(self.layout)
        work_state = state.fork()
        work_state.give_way(lambda: refuse_while_at_work(work_state))
        self.turn = WorkTreeTurn(work_state, self.guard.is_root_there)
        self.changes: ChangePool = Pool()
        self.commits: Commits = Pool()
        self.tree_scans: TreeScans = Pool()
        self.transfer_scans: ScanItems = Pool()
        self.ref_news: RefNews = Pool()
        self.setting_news: SettingNews = Pool()
        self._arrived: Pool[Key] = Pool()
        self._arriving: Latest[int] = Latest(0)     # keys in that pool, or being put into files
        self._brought: Latest[float] = Latest(float("-inf"))    # when others brought content last; monotonic seconds
        self._uploads_done: Latest[int] = Latest(0)
        self.watching: Latest[int] = Latest(0)
        specs = load_specs(state)
        self._specs: Latest[Specs] = Latest(specs)
        self._table = RemoteTable(specs)
        publish_remotes(board, specs)
        self.transfers = transferring.build(transferring.Plan(
            layout=self.layout, us=self._uuid, table=self._table, fork=self._fork, open_remote=open_remote,
            replan=self._replan, tell=self._transfers_ended, on_bug=_note_bug,
            slots=slots_wanted(self.shared.config.jobs), config=lambda: self.shared.config,
            on_satisfied=lambda jobs: self._arrive([job.key for job in jobs]),
            limiter=limiter_of(state, os.environb),
            deferred=DeferredStore.open(self.layout.annexd_dir + b"/deferred.db"),
            on_much_deferred=lambda: nudge_scanner(self.transfer_scans, Nudge.FULL),
        ))  # fmt: skip
        self._troubles = TransferTroubles(alerts, self.transfers.failed.find, self._file_of)
        recorder, queue = self.transfers.recorder, self.transfers.queue
        self._announcer = Announcer(
            self._fork, self._flush, lambda: len(recorder) > 0, lambda: queue.counts().running > 0, self.commits
        )
        self.merger = self._make_merger()
        self.committer = Committer(
            self.changes, self.shared, self.turn, self._make_batches, self.guard, self.commits,
            self._keys_added, self.merger.own_commit, alerts, board, look_again=self._look_again,
        )  # fmt: skip
        self.watcher = Watcher(
            self._top, self.changes, self.tree_scans, alerts, on_rules_changed=self.committer.forget_rules,
            on_watching=self._one_more_watching,
            initial_scan=TreeScan.FULL if self.shared.config.startup_scan else None,
        )  # fmt: skip
        self.watcher.mounts_changed(m.point for m in read_mounts())

    def register(self, supervisor: Supervisor) -> None:
        """Give all threads to the supervisor; those that others wait for come first, the watchers last."""
        layout = self.layout
        supervisor.add("transfers", self.transfers.controller.run)
        supervisor.add("populate", self._populate_arrived)
        supervisor.add("arrivals", Arrivals(self.layout, self._arrive).run)
        supervisor.add("arrival notes", ArrivalNotes(self.layout, self._brought_by_others).run)
        supervisor.add("push", self._make_pusher().run)
        supervisor.add("announce", self._announcer.run)
        supervisor.add("control", Control(self.shared, self.transfers, self._table.get, self.describe).run)
        supervisor.add("commit", self.committer.run)
        supervisor.add("merge", self.merger.run)
        supervisor.add("transfer scan", self._make_transfer_scanner().run)
        supervisor.add("settings", self._make_config_monitor().run)
        supervisor.add("tree scan", TreeScanner(self._repo, self.tree_scans, self.changes, self.alerts, self.board).run)
        supervisor.add("mounts", MountWatcher(self._mounts_changed).run)
        for number, directory in enumerate(git_watcher.directories(layout)):
            watcher = GitWatcher(
                directory, on_ref=self.ref_news.put, on_config=self._config_changed,
                on_freed=self._freed, on_watching=self._one_more_watching,
            )  # fmt: skip
            supervisor.add(f"watch git {number}", watcher.run)
        for number, (directory, names) in enumerate(_global_directories()):
            supervisor.add(f"watch config {number}", GlobalConfigWatcher(directory, names, self._global_changed).run)
        supervisor.add("watch", self.watcher.run)

    def start(self) -> None:
        """Start what the supervisor does not own, and ask for the first look at everything."""
        self.transfers.slots.start()
        self.transfers.failed.load()
        self.transfer_scans.put(ScanRequest(None, Scan.CHANGED))

    def is_watching(self, deadline: Deadline) -> bool:
        """Wait until every watch that changes are told by is set; False when it took too long."""
        wanted = 1 + len(git_watcher.directories(self.layout))
        return self.watching.wait_for(lambda count: count >= wanted, deadline) is not None

    def reload(self) -> None:
        """Look at all settings anew, as after SIGHUP."""
        self.setting_news.put_many((Setting.CONFIG, Setting.RULES))

    def describe(self) -> dict[str, object]:
        """Lock holders and queue lengths, for whoever wonders why nothing moves."""
        counts = self.transfers.queue.counts()
        return {
            "annex_lock": self.shared.holder, "turn": self.turn.holder,
            "longest_hold_ms": self.shared.longest_hold_ns // 1_000_000, "longest_holder": self.shared.longest_holder,
            "changes": len(self.changes), "commits": len(self.commits), "refs": len(self.ref_news),
            "transfers_queued": counts.queued, "transfers_running": counts.running,
            "transfers_deferred": len(self.transfers.deferred), "transfers_failed": len(self.transfers.failed),
        }  # fmt: skip

    def close(self, deadline: Deadline) -> bool:
        """End slots and helper processes; what is known of content but not written down yet is written.

        False when that was not done at the deadline, as when a thread that hangs has a lock: the start puts it right.
        """
        self.transfers.queue.close()
        self.transfers.slots.close(deadline)
        closing = NamedThread("close", self._close)
        closing.start()
        return closing.join(deadline)

    def _close(self) -> None:
        with suppress(AnnexError, OSError), self.shared.locked() as annex:      # the start finds what is not written
            self._flush(annex)
        self.transfers.deferred.close()
        self.turn.close()
        self.shared.close()

    # -- made here

    def _fork(self) -> AnnexState:
        with self.shared.locked() as annex:
            return annex.fork()

    def _make_merger(self) -> Merger:
        return Merger(
            self.ref_news, self.shared, self.turn, self._specs.get, self.transfers.requests, self.changes,
            self.commits, self.alerts, self.board,
            on_settings=lambda: self._tell_settings(Setting.BRANCH), on_head_moved=self._tell_delta,
            on_index_written=lambda: self.committer.index_written(),
        )  # fmt: skip

    def _make_batches(self) -> BatchMaker:
        with self.shared.locked() as annex:
            store = annex.store
        intake = Intake(self._repo, self.layout, store)
        return BatchMaker(self.shared, self.turn, intake, self.guard, Troubles(self.alerts))

    def _make_pusher(self) -> Pusher:
        parts = LaneParts(
            fork=self._fork, flush=self._flush, is_flush_due=self._is_flush_due, queue=self.transfers.queue,
            uploads_done=self._uploads_done, board=self.board, on_back=self._remote_is_back,
            brake=Brake(lambda _: self.shared.config.brake, BrakeAlerts(self.alerts).tell),
        )  # fmt: skip
        return Pusher(
            self.commits, self._specs, parts, on_new=lambda _: None,
            on_commits=lambda: nudge_scanner(self.transfer_scans, Nudge.CHANGED),
        )  # fmt: skip

    def _make_transfer_scanner(self) -> TransferScanner:
        return TransferScanner(
            self.transfer_scans, self.layout, self._fork, self.transfers, self._table, self.merger.populate,
            is_populated=lambda: self._arriving.get() == 0, flush=self._flush_and_tell,
            is_arriving=lambda: time.monotonic() < self._brought.get() + ARRIVAL_GAP,
        )  # fmt: skip

    def _make_config_monitor(self) -> ConfigMonitor:
        return ConfigMonitor(
            self.setting_news, self._fork(), self.shared, self.turn, self._specs, self._table, self.transfers,
            self.commits, self.tree_scans, self.transfer_scans, self.alerts, self.board,
            on_rules_changed=self.committer.forget_rules,
        )  # fmt: skip

    # -- what threads tell each other; each may be called from any thread

    def _keys_added(self, keys: Sequence[tuple[Key, bytes]], new_content: Sequence[Key]) -> None:
        self.transfers.recorder.add([(key, self._uuid, Presence.PRESENT) for key in new_content], self.layout.annex_dir)
        here = set(new_content)
        waiting = iter(keys)
        while batch := list(islice(waiting, BATCH)):
            present = [item for item in batch if item[0] in here or self._store.is_present(item[0])]
            known = {key for key, _ in present}
            with self.shared.locked() as annex:
                self.transfers.requests.upload(annex, present, Reason.NEW)
                self.transfers.requests.download(annex, [item for item in batch if item[0] not in known], Reason.NEW)
            pointers = [key for key, _ in present if key not in here]
            self._arrive(pointers)

    def _flush(self, annex: AnnexState) -> BranchUpdate | None:
        recorder = self.transfers.recorder
        if not len(recorder):
            return None
        return self.merger.own_update(lambda: recorder.flush(annex.locations))

    def _flush_and_tell(self, annex: AnnexState) -> BranchUpdate | None:
        update = self._flush(annex)
        if update is not None and update.moved:
            self.commits.put(Commit(Moved.LOCATIONS))
        return update

    def _is_flush_due(self) -> bool:
        """In a burst each commit of the git-annex branch touches nearly all of its directories: make few of them."""
        is_burst = self.board.get().pending_changes or self.transfers.queue.counts().queued >= BURST
        patience = max(LOCATIONS_EVERY, self._announcer.patience)
        recorder = self.transfers.recorder
        return not is_burst or not len(recorder) or recorder.waiting_for() >= patience

    def _replan(self, jobs: Sequence[Job]) -> None:
        waiting = iter(jobs)
        while batch := list(islice(waiting, BATCH)):
            with self.shared.locked() as annex:
                self.transfers.requests.replan(annex, batch)

    def _file_of(self, key: Key) -> bytes | None:
        try:
            with self.turn.held() as annex:
                return next(iter(annexed_paths(annex, key)), None)
        except (AnnexError, OSError):
            return None

    def _transfers_ended(self, finished: Sequence[Finished]) -> None:
        self._troubles.ended(finished)
        done = [f for f in finished if f.outcome.is_success]
        self._uploads_done.update(lambda count: count + 1)
        for f in finished:
            if not f.outcome.is_success:
                log.debug("transfer.failed", key=f.job.key, why=str(f.outcome.error), result=f.outcome.result)
        if done:
            self.board.count(transfers_done=len(done))
            self._arrive([f.job.key for f in done if f.job.direction is Direction.DOWNLOAD])
            # Small files of a burst are told of with the commit that they belong to, once it is over.
            if self._is_flush_due() or not all(f.job.direction is Direction.UPLOAD for f in done):
                self._announcer.news()
        nudge_scanner(self.transfer_scans, Nudge.ENDED)

    def _arrive(self, keys: Sequence[Key]) -> None:
        self._arriving.update(lambda count: count + len(keys))
        self._arrived.put_many(keys)

    def _brought_by_others(self, keys: Sequence[Key]) -> None:
        self._brought.replace(time.monotonic())
        self._arrive(keys)

    def _populate_arrived(self, stop: StopSignal) -> None:
        """A thread: files whose content came stop being pointers."""
        while keys := self._arrived.drain(stop):
            self.merger.populate(keys)
            self._arriving.update(lambda count: count - len(keys))
            self._troubles.look_again()

    def _look_again(self) -> None:
        """Nothing that was known of the work tree counts any more."""
        self.tree_scans.put(TreeScan.FULL)
        self._ask_for_scan()
        self.ref_news.put(b"")

    def _remote_is_back(self) -> None:
        self.setting_news.put(Setting.MOUNTS)

    def _mounts_changed(self) -> None:
        self.changes.put(nudge())
        self.watcher.mounts_changed(m.point for m in read_mounts())
        self.setting_news.put(Setting.MOUNTS)

    def _config_changed(self, path: bytes) -> None:
        self._tell_settings(Setting.RULES if path in git_watcher.RULES else Setting.CONFIG)

    def _global_changed(self, name: bytes) -> None:
        self._tell_settings(Setting.CONFIG if name.endswith(b"config") else Setting.RULES)

    def _tell_settings(self, setting: Setting) -> None:
        self.setting_news.put(setting)

    def _tell_delta(self, delta: object) -> None:
        self.transfer_scans.put(delta)  # type: ignore[arg-type]

    def _freed(self) -> None:
        self.committer.obstacle_gone()

    def _one_more_watching(self) -> None:
        self.watching.update(lambda count: count + 1)

    def _ask_for_scan(self) -> None:
        self.transfer_scans.put(ScanRequest(None, Scan.FULL))


def _global_directories() -> list[tuple[bytes, frozenset[bytes]]]:
    """The directories that the user's own git settings lie in, with the names to look for."""
    by_directory: dict[bytes, set[bytes]] = {}
    for path in global_config_files(dict(os.environb)):
        directory, name = os.path.split(path)
        if os.path.isdir(directory):
            by_directory.setdefault(directory, set()).add(name)
    return [(directory, frozenset(names)) for directory, names in by_directory.items()]


def _note_long_hold(thread: str, nanoseconds: int) -> None:
    log.debug("lock.held_long", holder=thread, milliseconds=nanoseconds // 1_000_000)


def _note_bug(thread: str, error: BaseException) -> None:
    log.error("slot.crashed", slot=thread, exc_info=error)


MakeParts = Callable[[AnnexState, StatusBoard, Alerts], Parts]
