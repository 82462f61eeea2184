"""One pass of the transfer scan: looks for what each repository lacks, and has it queued or deferred."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from annexd.annex.adjusted import tree_with_hidden_files
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.annex.tree_keys import TreeKeys
from annexd.errors import FormatError, RepositoryError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.git.commit import parse_commit
from annexd.git.objects import BLOB, COMMIT, EMPTY_TREE, Oid, object_id
from annexd.remotes.contract import RemoteSpec
from annexd.threads.stop_signal import StopSignal
from annexd.transfer import policy, scan_search
from annexd.transfer.deferred import DeferredDownloads
from annexd.transfer.job import Reason
from annexd.transfer.record import LocationRecorder
from annexd.transfer.requests import TransferRequests
from annexd.transfer.scan_cursor import Cursor
from annexd.transfer.scan_ledger import ScanLedger
from annexd.transfer.scan_search import FoundFile, Lookout
from annexd.transfer.transfers import RemoteTable

AT_ONCE = 500       # files planned together

_EXPRESSION_LOGS = (b"preferred-content.log", b"required-content.log")
_LOGS_OF_RULES = (
    *_EXPRESSION_LOGS, b"group-preferred-content.log", b"group.log", b"trust.log", b"numcopies.log", b"mincopies.log",
    b"remote.log",
)  # fmt: skip

Populate = Callable[[Sequence[Key]], None]
NewRemotes = Callable[[], Iterable[UUID]]


class ScanPass:
    """Belongs to the scanner's thread, for one pass; `annex` is a state of that thread's own.

    Remotes that `new_remotes` tells of between two batches are taken in.
    """

    def __init__(
        self,
        annex: AnnexState,
        keys: TreeKeys,
        ledger: ScanLedger,
        requests: TransferRequests,
        deferred: DeferredDownloads,
        recorder: LocationRecorder,
        populate: Populate,
        table: RemoteTable,
        new_remotes: NewRemotes,
    ) -> None:
        self._annex = annex
        self._keys = keys
        self._ledger = ledger
        self._requests = requests
        self._deferred = deferred
        self._recorder = recorder
        self._populate = populate
        self._table = table
        self._new_remotes = new_remotes
        self._since: dict[UUID, int] = {}       # version of the table that each remote's part began with
        self._rules = _rules(annex)
        self._now = Cursor(tree_here(annex), annex.branch.tip(), b"")
        self.queued = 0
        self.files = 0
        self.full_for = 0

    def run(self, stop: StopSignal) -> bool:
        """Look at what changed since the last pass for us and the remotes, and at everything for whom there was none.

        Whether it came to its end; else nothing counts. Raises GitError, RepositoryError, DatabaseBroken, OSError.
        """
        self._keys.follow(self._annex, self._now.tree)
        try:
            known, new = self._begin(None)
            us = self._annex.uuid
            is_done = (
                self._sweep(new - {us}, stop)   # these first: looking whether all is in order here takes longer
                and self._catch_up(known, stop)
                and (us not in new or self._sweep({us}, stop))
            )
            if is_done:
                self._complete()
            return is_done
        finally:
            self._ledger.abandon()

    def look_at(self, found: Sequence[FoundFile], reason: Reason) -> None:
        """Plan what these files need, whatever any cursor says."""
        for start in range(0, len(found), AT_ONCE):
            self._plan(found[start : start + AT_ONCE], reason)

    def look_at_change(self, old: Oid | None, new: Oid) -> None:
        """Plan at once what the files need that one commit has and the other has not."""
        trees = [None if commit is None else tree_of_commit(self._annex, commit) for commit in (old, new)]
        for found in scan_search.changed_files(self._annex, *trees):
            self.look_at(found, Reason.NEW)

    # helpers

    def _cursor(self, spec: RemoteSpec | None) -> Cursor:
        return self._now._replace(rules=self._rules + (b"" if spec is None else bytes(policy.manner_of(spec))))

    def _begin(self, wanted: Set[UUID] | None) -> tuple[dict[UUID, Cursor], set[UUID]]:
        """Those who have a cursor, and those for whom everything has to be looked at.

        None means us and every remote that is there; else those of the remotes that are there and not served yet.
        """
        version = self._table.version()
        specs = {uuid: spec for uuid, spec in self._table.get().items() if spec.available and spec.holds_content}
        chosen = specs.keys() if wanted is None else specs.keys() & wanted - self._ledger.under_way()
        now = {uuid: self._cursor(specs[uuid]) for uuid in chosen}
        self._since |= dict.fromkeys(chosen, version)
        if wanted is None:
            now[self._annex.uuid] = self._cursor(None)
        known = {}
        for uuid, cursor in now.items():
            base = self._ledger.base(uuid, cursor.rules)
            if base is not None:
                known[uuid] = base._replace(rules=b"")
            self._ledger.begin(uuid, cursor)
        return known, now.keys() - known.keys()

    def _catch_up(self, known: Mapping[UUID, Cursor], stop: StopSignal) -> bool:
        """What changed since the cursors; whether it came to its end."""
        us = self._annex.uuid
        lookout = Lookout(us, is_for_us=us in known, remotes=known.keys() - {us})
        bases = set(known.values())
        try:
            for found in scan_search.since(self._annex, self._keys, bases, self._now, lookout):
                self.look_at(found, Reason.SCAN)
                if stop.is_set():
                    return False
            self._forget_unwanted(bases)
        except (RepositoryError, FormatError):      # what a cursor names is gone
            return self._sweep(set(known), stop)
        return True

    def _forget_unwanted(self, bases: Iterable[Cursor]) -> None:
        """Downloads for files that are gone."""
        for tree in {base.tree for base in bases} - {self._now.tree}:
            for gone in scan_search.keys_gone(self._annex, self._keys, tree, self._now.tree):
                self._requests.not_wanted(gone)

    def _sweep(self, repositories: Set[UUID], stop: StopSignal, end: int | None = None) -> bool:
        """All files up to a place, for these repositories; whether it came to its end.

        Who turns up on the way gets the first part of the way afterwards.
        """
        if not repositories:
            return True
        us = self._annex.uuid
        self.full_for += len(repositories)
        lookout = Lookout(us, is_for_us=us in repositories, remotes=repositories - {us})
        late: set[UUID] = set()
        late_until = 0
        for place, found in scan_search.everything(self._annex, self._keys, self._now.tip, lookout, end=end):
            self.look_at(found, Reason.SCAN)
            if stop.is_set():
                return False
            joined = self._joined(stop)
            if joined:
                lookout.remotes |= joined
                late |= joined
                late_until = place
        return self._sweep(late, stop, late_until)

    def _joined(self, stop: StopSignal) -> set[UUID]:
        """Remotes that turned up and for which there was no scan before; the others are served at once."""
        known, new = self._begin(frozenset(self._new_remotes()))
        if known:
            self._catch_up(known, stop)
        return new

    def _complete(self) -> None:
        """A remote that was away for a moment got no jobs then: its part has to be done again."""
        for uuid, since in self._since.items():
            if self._table.has_lapsed(uuid, since):
                self._ledger.abandon(uuid)
        self._ledger.complete()

    def _plan(self, found: Sequence[FoundFile], reason: Reason) -> None:
        annex = self._annex
        present = {file.key for file in found if annex.store.is_present(file.key)}
        here = [(file.key, file.path) for file in found if file.key in present]
        elsewhere = [(file.key, file.path) for file in found if file.key not in present]
        uploads = self._requests.plan_uploads(annex, here, reason)
        downloads = self._requests.plan_downloads(annex, elsewhere, reason)
        self._ledger.add(annex.uuid, uploads.jobs)
        self._ledger.add(annex.uuid, downloads.jobs)
        self.queued += uploads.queued + downloads.queued
        self.files += len(found)
        self._deferred.satisfied(present)
        self._tell_of(present, uploads.locations)
        self._populate([f.key for f in found if f.key in present and scan_search.may_be_pointer(annex, f)])

    def _tell_of(self, present: Iterable[Key], known: Mapping[Key, Set[UUID]]) -> None:
        """A crash may have come between content and its log."""
        us = self._annex.uuid
        logs = known or self._annex.locations.locations_many(present)
        unsaid = [(key, us, Presence.PRESENT) for key, locations in logs.items() if us not in locations]
        if unsaid:
            self._recorder.add(unsaid, self._annex.layout.annex_dir)


def tree_here(annex: AnnexState) -> Oid:
    """The tree of the commit that is checked out, or the one that it hides files of."""
    return tree_with_hidden_files(annex) or EMPTY_TREE


def tree_of_commit(annex: AnnexState, commit: Oid) -> Oid:
    """The tree of a commit. Raises RepositoryError."""
    found = annex.objects.read(commit)
    if found is None or found.kind != COMMIT:
        raise RepositoryError(f"commit {commit.hex()} is missing", hint="run git fsck")
    return parse_commit(found.data).tree


def _rules(annex: AnnexState) -> bytes:
    """A digest of what decides who wants what."""
    root = annex.branch.root_of(annex.branch.tip())
    logs: list[object] = [annex.branch.file_in(root, name) for name in _EXPRESSION_LOGS]
    if any(logs):       # without expressions nothing else counts
        logs += [annex.branch.file_in(root, name) for name in _LOGS_OF_RULES]
        logs += [annex.config.numcopies, [(remote.uuid, remote.trust_level) for remote in annex.config.remotes]]
    return object_id(BLOB, repr(logs).encode())

