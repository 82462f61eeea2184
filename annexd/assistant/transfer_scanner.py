"""Looks through the files of the branch for content to send and to get: at the start, and when a remote turns up.

Each scan starts anew; the one place that decides what to look at is `_files`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from annexd.annex.annexed_files import AnnexedFile, TrackedFile, annexed, tracked
from annexd.annex.location_log import Presence
from annexd.annex.objects import ObjectStore
from annexd.annex.shared import SharedAnnex
from annexd.annex.state import AnnexState
from annexd.assistant.changes import Scan, ScanRequest, merge_requests
from annexd.errors import AnnexError
from annexd.formats.key import Key
from annexd.git.objects import Oid
from annexd.git.tree import MODE_GITLINK, Trees
from annexd.remotes.contract import RemoteSpec
from annexd.sync.merge import tree_of
from annexd.system.logging import get_logger
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.job import Reason
from annexd.transfer.transfers import Transfers

BATCH = 500             # files per hold of the AnnexState lock

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeyDelta:
    """The branch went from one commit to another by somebody else's hand: only what differs is looked at."""

    old: Oid | None
    new: Oid


ScanItems = Pool[ScanRequest | KeyDelta]


class TransferScanner:
    """One thread with a state copy of its own for git's objects; location logs are read from the shared one."""

    def __init__(
        self,
        wishes: ScanItems,
        shared: SharedAnnex,
        fork: Callable[[], AnnexState],
        transfers: Transfers,
        specs: Callable[[], Sequence[RemoteSpec]],
        populate: Callable[[Sequence[Key]], None],
    ) -> None:
        self._wishes = wishes
        self._shared = shared
        self._fork = fork
        self._transfers = transfers
        self._specs = specs
        self._populate = populate

    def run(self, stop: StopSignal) -> None:
        """Do one scan for all that were asked for since the last. Until `stop`."""
        while wanted := self._wishes.drain(stop):
            try:
                with self._fork() as own:
                    self._serve(own, wanted, stop)
            except (AnnexError, OSError) as error:
                log.warning("transfer_scan.failed", reason=str(error))

    def _serve(self, own: AnnexState, wanted: Sequence[ScanRequest | KeyDelta], stop: StopSignal) -> None:
        requests = merge_requests(wish for wish in wanted if isinstance(wish, ScanRequest))
        for request in requests:
            if request.uuid is not None:
                self._transfers.requests.remote_is_back(request.uuid)
        if any(request.scan is Scan.FULL for request in requests):
            self._transfers.deferred.flush()
            self._look_at(own, annexed(own, tracked(own)), Reason.SCAN, stop)
        else:
            for wish in wanted:
                if isinstance(wish, KeyDelta):
                    self._look_at(own, annexed(own, _changed_files(own, wish)), Reason.NEW, stop)

    def _look_at(self, own: AnnexState, files: Iterable[AnnexedFile], reason: Reason, stop: StopSignal) -> None:
        waiting = iter(files)
        count = queued = 0
        while not stop.is_set() and (batch := list(islice(waiting, BATCH))):
            count += len(batch)
            queued += self._plan(own.store, batch, reason)
        log.info("transfer_scan.finished", files=count, queued=queued)

    def _plan(self, store: ObjectStore, batch: Sequence[AnnexedFile], reason: Reason) -> int:
        here = [file for file in batch if store.is_present(file.key)]
        present = {file.key for file in here}
        missing = [file for file in batch if file.key not in present]
        with self._shared.locked() as annex:
            requests = self._transfers.requests
            queued = requests.upload(annex, [(file.key, file.path) for file in here], reason)
            queued += requests.download(annex, [(file.key, file.path) for file in missing], reason)
            logs = annex.locations.locations_many(present)
            unsaid = [key for key in present if annex.uuid not in logs.get(key, frozenset())]
            us = annex.uuid
        if unsaid:      # a crash came between the content and its log
            self._transfers.recorder.add([(key, us, Presence.PRESENT) for key in unsaid])
        self._populate([file.key for file in here if file.is_unlocked])
        return queued


def _changed_files(own: AnnexState, delta: KeyDelta) -> Iterator[TrackedFile]:
    old = tree_of(own, delta.old) if delta.old is not None else None
    for change in Trees(own.objects).diff(old, tree_of(own, delta.new)):
        if change.new is not None and change.new[0] != MODE_GITLINK:
            yield TrackedFile(change.path, *change.new)
