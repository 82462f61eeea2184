"""Finds content to send and to get: everything once for each repository, and from then on what changed."""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from annexd.annex import database
from annexd.annex.branch import BranchUpdate
from annexd.annex.database import DatabaseBroken
from annexd.annex.layout import RepoLayout
from annexd.annex.state import AnnexState
from annexd.annex.tree_keys import TreeKeys
from annexd.assistant.changes import Scan, ScanRequest, merge_requests
from annexd.errors import AnnexError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.git.objects import Oid
from annexd.system.logging import get_logger
from annexd.threads.latest import Latest
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer import scan_cursor
from annexd.transfer.scan_cursor import Progress
from annexd.transfer.scan_ledger import ScanLedger
from annexd.transfer.scan_pass import ScanPass
from annexd.transfer.transfers import RemoteTable, Transfers

PASS_AFTER = 2.0        # seconds from a change to the pass that takes it in; what is urgent does not wait for that
LONGEST_WAIT = 60.0     # seconds that a pass is put off while there is much to transfer
SETTLE_AFTER = 0.5      # seconds between two looks at what is not done yet
RETRY_AFTER = 5.0       # seconds, doubled with each failure
LONGEST_RETRY = 300.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyDelta:
    """The branch went from one commit to another by somebody else's hand: only what differs is looked at, at once."""

    old: Oid | None
    new: Oid


class Nudge(enum.Enum):
    """What the scanner need not see at once."""

    CHANGED = "a branch moved"
    ENDED = "transfers ended"
    FULL = "many deferred downloads are in memory"


ScanItem = ScanRequest | KeyDelta | Nudge
ScanItems = Pool[ScanItem]


def nudge(pool: ScanItems, what: Nudge) -> None:
    """Tell the scanner; one unheard nudge is enough, as it looks at everything."""
    if not len(pool) or what is Nudge.FULL:
        pool.put(what)


class TransferScanner:
    """One thread. It works with a state copy of its own, and never takes the AnnexState lock.

    `is_populated` tells whether all content that came so far is in the files of the work tree; `flush` writes down what
    is known of locations, `is_arriving` tells whether others are bringing content just now, who will tell soon where it
    came from.
    """

    def __init__(
        self,
        wishes: ScanItems,
        layout: RepoLayout,
        fork: Callable[[], AnnexState],
        transfers: Transfers,
        table: RemoteTable,
        populate: Callable[[Sequence[Key]], None],
        is_populated: Callable[[], bool],
        flush: Callable[[AnnexState], BranchUpdate | None],
        is_arriving: Callable[[], bool] = lambda: False,
    ) -> None:
        self.rounds: Latest[int] = Latest(0)        # how often everything that was wished for was done
        self._wishes = wishes
        self._fork = fork
        self._transfers = transfers
        self._table = table
        self._removals = dict(table.removals())     # those that are taken account of
        self._cancels = 0
        self._populate = populate
        self._is_populated = is_populated
        self._flush = flush
        self._is_arriving = is_arriving
        self._cursors = layout.annexd_dir + b"/scan-cursors"
        self._tables = layout.annexd_dir + b"/tree-keys.db"
        self._keys: TreeKeys | None = None
        self._ledger = ScanLedger({})
        self._unsaved = False
        self._pass_at: float | None = 0.0       # monotonic seconds
        self._put_off_since = 0.0
        self._settle_at: float | None = None
        self._failures = 0

    def run(self, stop: StopSignal) -> None:
        """Do one pass for all that was wished for since the last. Until `stop`."""
        with self._fork() as own:
            progress = scan_cursor.load(self._cursors, own.uuid, self._transfers.deferred.identity)
        self._ledger = ScanLedger(progress.cursors)
        self._pass_at, self._settle_at = 0.0, None
        try:
            while not stop.is_set():
                wishes = self._wishes.drain(stop, self._timeout())
                if not stop.is_set():
                    self._serve(wishes, stop)
                    self.rounds.update(lambda count: count + 1)
        finally:
            self._close_keys()

    # -- what to do when

    def _timeout(self) -> float | None:
        moments = [moment for moment in (self._pass_at, self._settle_at) if moment is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _serve(self, wishes: Sequence[ScanItem], stop: StopSignal) -> None:
        try:
            self._hear(wishes)
            now = time.monotonic()
            if self._is_pass_due(now):
                self._pass(stop)
            if self._settle_at is not None and self._settle_at <= now:
                self._settle()
        except (AnnexError, OSError) as error:
            if isinstance(error, DatabaseBroken):
                self._drop_keys()
            self._failures += 1
            delay = min(RETRY_AFTER * 2 ** (self._failures - 1), LONGEST_RETRY)
            self._pass_at = time.monotonic() + delay
            log.warning("transfer_scan.failed", reason=str(error), retry_in=delay)
        else:
            self._failures = 0

    def _hear(self, wishes: Sequence[ScanItem]) -> None:
        requests = [wish for wish in wishes if isinstance(wish, ScanRequest)]
        for uuid in {request.uuid for request in requests} - {None}:
            self._transfers.requests.remote_is_back(uuid)       # type: ignore[arg-type]  # None is taken out
        for request in merge_requests(requests):
            self._asked(request)
        deltas = [wish for wish in wishes if isinstance(wish, KeyDelta)]
        if deltas:
            with self._fork() as own:
                scan = self._make_pass(own)
                for delta in deltas:
                    scan.look_at_change(delta.old, delta.new)
        if Nudge.FULL in wishes:
            self._take_down()
        has_ended = Nudge.ENDED in wishes or Nudge.FULL in wishes
        if has_ended and self._ledger.has_open() and self._settle_at is None:
            self._settle_at = time.monotonic() + SETTLE_AFTER
        if (deltas or Nudge.CHANGED in wishes) and self._pass_at != 0.0:
            now = time.monotonic()
            if self._pass_at is None:
                self._put_off_since = now
            # One pass after a burst does what many in it would do.
            self._pass_at = min(now + PASS_AFTER, self._put_off_since + LONGEST_WAIT)

    def _asked(self, request: ScanRequest) -> None:
        if request.scan is Scan.FULL:
            self._ledger.forget(request.uuid)
            with suppress(FileNotFoundError):
                os.unlink(self._cursors)
            self._unsaved = True
        self._pass_at = 0.0

    def _is_pass_due(self, now: float) -> bool:
        if self._pass_at is None or self._pass_at > now:
            return False
        is_asked_for = self._pass_at == 0.0
        is_lively = len(self._transfers.queue) or self._is_arriving()
        if not is_asked_for and is_lively and now < self._put_off_since + LONGEST_WAIT:
            self._pass_at = now + PASS_AFTER
            return False
        return True

    # -- doing it

    def _pass(self, stop: StopSignal) -> None:
        if self._transfers.deferred.has_lost:
            with self._fork() as own:
                self._ledger.forget(own.uuid)
            self._transfers.deferred.rescan_begins()
        self._forget_removed()
        began = time.monotonic()
        self._pass_at = None
        with self._fork() as own:
            scan = self._make_pass(own)
            is_done = scan.run(stop)
        seconds = round(time.monotonic() - began, 3)
        if is_done:
            self._settle_at = time.monotonic() + SETTLE_AFTER
        say = log.info if scan.full_for or scan.queued else log.debug
        say("transfer_scan.finished", files=scan.files, queued=scan.queued, full_for=scan.full_for, seconds=seconds)

    def _make_pass(self, own: AnnexState) -> ScanPass:
        if self._keys is None:
            self._keys = TreeKeys(self._tables)
        parts = self._transfers
        return ScanPass(
            own, self._keys, self._ledger, parts.requests, parts.deferred, parts.recorder,
            self._populate, self._table, self._new_remotes,
        )  # fmt: skip

    def _close_keys(self) -> None:
        keys, self._keys = self._keys, None
        if keys is not None:
            keys.close()

    def _drop_keys(self) -> None:
        self._close_keys()
        database.remove(self._tables)

    def _new_remotes(self) -> Iterable[UUID]:
        """The remotes that turned up while a pass is under way; other wishes are for afterwards."""
        if not len(self._wishes):
            return ()
        wishes = self._wishes.take_all()
        wanted: set[UUID] = set()
        for wish in wishes:
            if isinstance(wish, ScanRequest) and wish.uuid is not None and wish.scan is not Scan.FULL:
                self._transfers.requests.remote_is_back(wish.uuid)
                wanted.add(wish.uuid)
            elif wish is Nudge.FULL:
                self._take_down()
            else:
                self._wishes.put(wish)
        return wanted

    def _was_nothing_cancelled(self) -> bool:
        cancels = self._transfers.controller.cancels
        if cancels != self._cancels:
            self._cancels = cancels
            self._ledger.hold()
            return False
        return True

    def _forget_removed(self) -> None:
        for uuid, version in self._table.removals().items():
            if self._removals.get(uuid) != version:
                self._removals[uuid] = version
                self._ledger.forget(uuid)
                self._unsaved = True

    def _take_down(self) -> None:
        """Write the deferred downloads down; what could not be kept has to be found again."""
        deferred = self._transfers.deferred
        if deferred.has_lost:
            self._pass_at = 0.0
        deferred.flush()

    def _settle(self) -> None:
        """Note what is done. The cursor is the last thing to be written: what it stands for is on disk by then."""
        parts = self._transfers
        self._settle_at = None
        self._unsaved |= self._ledger.settle(parts.queue.__contains__, self._was_nothing_cancelled)
        self._forget_removed()
        if not self._unsaved:
            return
        if not (parts.aftermath.is_idle() and self._is_populated() and parts.failed.are_noted()):
            self._settle_at = time.monotonic() + SETTLE_AFTER
            return
        done = self._ledger.done()
        with self._fork() as own:
            self._flush(own)
            parts.deferred.sync()
            scan_cursor.save(self._cursors, Progress(own.uuid, parts.deferred.identity, done))
        self._unsaved = False
        log.debug("transfer_scan.noted", repositories=len(done))

