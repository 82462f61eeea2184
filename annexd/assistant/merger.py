"""Takes in what arrives in refs: the git-annex branch first, to know who has what content, then the tree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from annexd.annex.adjust import adjust_again
from annexd.annex.adjusted import propagate
from annexd.annex.branch import SETTINGS_LOGS, BranchUpdate
from annexd.annex.branch_commit import BRANCH
from annexd.annex.checkout import CheckoutResult
from annexd.annex.shared import OwnState, SharedAnnex
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import unfinished
from annexd.annex.worktree import populate
from annexd.assistant.alerts import Alerts
from annexd.assistant.changes import Change, ChangeKind, ChangePool, Commit, Commits, Moved
from annexd.assistant.commit_policy import INDEX_ALERT, index_backoff
from annexd.assistant.conflict_news import ConflictNews
from annexd.assistant.status import Severity, StatusBoard
from annexd.assistant.transfer_scanner import KeyDelta
from annexd.assistant.turn import WorkTreeTurn
from annexd.errors import AnnexError, BusyError, ContentChanged, RefusedError
from annexd.formats.adjustment import AdjustedBranch, adjusted_branch
from annexd.formats.branch_paths import key_of_location_log
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.git.objects import Oid
from annexd.git.refs import Head
from annexd.git.tree import Trees
from annexd.remotes.contract import RemoteSpec
from annexd.sync.fetch import may_fetch
from annexd.sync.merge import (
    ADJUSTED,
    HEADS,
    MergeKind,
    MergeReport,
    branch_to_sync,
    merge_into_head,
    refs_to_merge,
    tree_of,
)
from annexd.system.logging import get_logger
from annexd.threads.deadline import Deadline
from annexd.threads.latest import Latest
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.requests import TransferRequests

BATCH = 50              # keys whose logs are looked up at a time
REST_AFTER = 20.0       # seconds without news after which helper processes end
BLOCKED_RETRY = 5.0     # seconds, at most, until a merge that local changes block is tried again
FAILED_RETRY = 5.0      # seconds, more with each failure
LONGEST_RETRY = 300.0
OWN_STEP_WAIT = 0.25    # seconds
SHOWN = 3               # paths that an alert names

log = get_logger(__name__)

RefNews = Pool[bytes]
"""Names of refs that may have moved; b"" for any of them."""


@dataclass(slots=True)
class _Obstacle:
    """A merge that could not be done: its state when that was, and when to try again. Monotonic seconds."""

    seen: tuple[Oid | None, Oid | None]
    since: float
    tries: int = 0
    again: float | None = None


class Merger:
    """The only thread that merges. `on_settings` is told when settings in the git-annex branch changed."""

    def __init__(
        self,
        news: RefNews,
        shared: SharedAnnex,
        turn: WorkTreeTurn,
        specs: Callable[[], Sequence[RemoteSpec]],
        requests: TransferRequests,
        changes: ChangePool,
        commits: Commits,
        alerts: Alerts,
        board: StatusBoard,
        *,
        on_settings: Callable[[], None],
        on_index_written: Callable[[], None],
        on_head_moved: Callable[[KeyDelta], None],
    ) -> None:
        self._news = news
        self._shared = shared
        self._own = OwnState(shared)
        self._turn = turn
        self._specs = specs
        self._requests = requests
        self._changes = changes
        self._commits = commits
        self._alerts = alerts
        self._conflicts = ConflictNews(alerts)
        self._board = board
        self._on_settings = on_settings
        self._on_index_written = on_index_written
        self._on_head_moved = on_head_moved
        self._tip: Oid | None = None
        self._head: Oid | None = None
        self._branch: bytes | None = None               # that is checked out
        self._adjusted: AdjustedBranch | None = None    # the branch that is checked out, if it is one
        self._presence_changed = True                   # so that it has to be looked at which files it shows
        self._own_steps: dict[Oid | None, Oid | None] = {}      # of the git-annex branch, made by our other threads
        self._own_heads: set[Oid] = set()
        self._writers: Latest[int] = Latest(0)
        self._obstacles: dict[bytes, _Obstacle] = {}
        self._refused_refs: dict[bytes, Oid | None] = {}     # git-annex branches that cannot be merged, as they were

    # told by other threads

    def own_update(self, write: Callable[[], BranchUpdate | None]) -> BranchUpdate | None:
        """Have `write` move the git-annex branch; what it changes is known to us, and no news. Any thread."""
        self._writers.update(lambda count: count + 1)
        try:
            update = write()
            if update is not None and update.moved:
                self._own_steps[update.old] = update.new
            return update
        finally:
            self._writers.update(lambda count: count - 1)

    def own_commit(self, commit: Oid) -> None:
        """We committed to the branch ourselves, and what is in it is known to us. Any thread."""
        self._own_heads.add(commit)

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. Blocks on news of refs alone."""
        self._start()
        news = frozenset((b"",))
        try:
            while not stop.is_set():
                if news or self._is_retry_due():
                    self._round(news, stop)
                news = self._wait(stop)
        finally:
            self._own.rest()

    def _wait(self, stop: StopSignal) -> frozenset[bytes]:
        retry = self._next_retry()
        rest = REST_AFTER if retry is None and self._own.is_made() else None
        news = frozenset(self._news.drain(stop, timeout=rest if retry is None else retry))
        if rest is not None and not news:
            self._own.rest()
        return news

    def _start(self) -> None:
        """What is there already needs no telling: the transfer scan looks at all of it."""
        with self._shared.locked() as annex:
            self._tip = annex.branch.tip()
            head = annex.refs.head()
            self._head, self._branch = head.oid, head.ref

    def _round(self, news: frozenset[bytes], stop: StopSignal) -> None:
        """Look at what the names in `news` may concern; all of it for b"", and when something is tried again."""
        everything = b"" in news or b"" in self._obstacles
        try:
            if everything or any(ref.endswith(b"/git-annex") for ref in news):
                self._merge_annex_branch(frozenset() if everything else news)
            if everything or not all(ref.endswith(b"/git-annex") for ref in news) or not news:
                self._note_head()
                self._follow_adjusted()
                self._merge_trees(stop)
            self._alerts.clear("merge-failed")
        except BusyError as error:
            self._put_off(b"", error)
        except (AnnexError, OSError) as error:
            self._put_off(b"", error)
            self._alerts.raise_alert("merge-failed", f"merging failed: {error}", severity=Severity.ERROR)
        else:
            self._obstacles.pop(b"", None)

    # -- the git-annex branch

    def _merge_annex_branch(self, news: frozenset[bytes]) -> None:
        annex = self._own.get()     # a union of many logs takes long, and the journal's lock is all that it needs
        tip = annex.branch.tip()
        siblings = [ref for ref in news if ref.endswith(b"/git-annex") and ref != BRANCH]
        update = BranchUpdate(tip, tip)
        if not news or any(annex.refs.read(ref) != tip for ref in siblings):
            update = annex.branch.merge_siblings()
            tip = annex.branch.tip()
        is_fast_forward = update.moved and _is_from_elsewhere(annex, update.new)
        self._tell_refused(annex, update)
        is_merge = update.moved and not is_fast_forward
        if is_merge:
            self._commits.put(Commit(Moved.MERGE))
        if self._take_news(tip) and not is_merge:
            self._commits.put(Commit(Moved.LOCATIONS))      # somebody else's news; who has it already is sent nothing

    def _tell_refused(self, annex: AnnexState, update: BranchUpdate) -> None:
        for refused in update.refused:
            name = display(refused.ref)
            self._refused_refs[refused.ref] = annex.refs.read(refused.ref)
            self._alerts.raise_alert(f"refused {name}", f"{name} is not merged: {refused.reason}")
        now = {refused.ref for refused in update.refused}
        for ref in [ref for ref, oid in self._refused_refs.items() if ref not in now and annex.refs.read(ref) != oid]:
            del self._refused_refs[ref]
            self._alerts.clear(f"refused {display(ref)}")

    def _take_news(self, tip: Oid | None) -> bool:
        """Act on what changed in the branch since we last looked, but for what we wrote ourselves; was there any?"""
        self._follow_own_steps(tip)
        if self._tip != tip:        # who writes to the branch may be about to tell us that the step is ours
            self._writers.wait_for(lambda count: count == 0, Deadline(OWN_STEP_WAIT))
            self._follow_own_steps(tip)
        if self._tip == tip:
            return False
        paths = list(self._own.get().branch.changed_between(self._tip, tip))
        self._tip = tip
        if any(path in SETTINGS_LOGS for path in paths):
            self._on_settings()
        levels = self._own.get().layout.branch_levels
        self._tell_of_keys([key for path in paths if (key := key_of_location_log(path, levels)) is not None])
        return True

    def _follow_own_steps(self, tip: Oid | None) -> None:
        while self._tip != tip and self._tip in self._own_steps:
            self._tip = self._own_steps.pop(self._tip)
        self._own_steps.pop(tip, None)

    def _tell_of_keys(self, keys: Iterable[Key]) -> None:
        waiting = iter(keys)
        annex = self._own.get()
        here: list[Key] = []
        self.presence_changed()
        while batch := list(islice(waiting, BATCH)):
            self._requests.news(annex, batch)
            here += [key for key in batch if annex.store.is_present(key)]
        self.populate(here)

    def presence_changed(self) -> None:
        """Content came or went here, which may show or hide files of an adjusted branch. Any thread."""
        if self._adjusted is not None and not self._adjusted.adjustment.is_stable:
            self._presence_changed = True
            self._news.put(self._adjusted.basis)

    def populate(self, keys: Sequence[Key]) -> None:
        """Put the content of these keys into the files that still are pointers. Any thread; waits for the turn."""
        if not keys:
            return
        self.presence_changed()
        try:
            with self._turn.held() as annex:
                result = populate(annex, keys)
        except BusyError as error:      # the work tree is gone; when it is back everything is looked at
            log.debug("populate.skipped", reason=str(error))
            return
        for path, reason in result.failed:
            log.warning("populate.failed", path=path, reason=reason)
        if result.populated:
            self._on_index_written()
            log.debug("populate.finished", files=len(result.populated))

    # -- the tree

    def _note_head(self) -> None:
        """A commit or checkout that was not ours: push it, and see what content it needs or brings."""
        with self._shared.locked() as annex:
            head = annex.refs.head()
            if head.oid is not None and head.oid != self._head:
                self._look_at_conflicts(annex, head.oid)
            is_left = head.detached and unfinished(annex) is None
        before, self._head = self._head, head.oid
        is_other_branch, self._branch = head.ref != self._branch, head.ref
        branch = branch_to_sync(head)
        self._adjusted = adjusted_branch(head.ref)
        self._tell_branch(head, branch, is_left=is_left)
        if head.oid is None:
            return
        if is_other_branch:     # which may have been brought to the commit of the one before
            self._commits.put(Commit(Moved.TREE))
        if head.oid == before:
            return
        with self._turn.held():         # who has it may be about to tell us that the commit is ours
            is_own = head.oid in self._own_heads
        if is_own:
            self._own_heads.clear()
            return
        self._commits.put(Commit(Moved.TREE))
        self._on_head_moved(KeyDelta(before, head.oid))

    def _tell_branch(self, head: Head, branch: bytes | None, *, is_left: bool) -> None:
        self._board.set(branch=display(branch) if branch is not None else "")
        if branch is None and head.ref is not None and head.ref.startswith(HEADS + ADJUSTED):
            self._alerts.raise_alert(
                "adjusted",
                "an adjusted branch of an unknown kind is checked out: its history is not exchanged with remotes",
                hint="check out the branch that it was made from",
            )
        else:
            self._alerts.clear("adjusted")
        if is_left:
            self._alerts.raise_alert(
                "detached",
                "no branch is checked out: changes are committed on HEAD alone, and not exchanged with remotes",
                hint="git switch BRANCH; to keep what was committed meanwhile, git switch -c NEW-BRANCH first",
            )
        else:
            self._alerts.clear("detached")

    def _follow_adjusted(self) -> None:
        """On an adjusted branch: what a person committed there goes to the original one, and files follow content."""
        if self._adjusted is None:
            return
        is_due, self._presence_changed = self._presence_changed, False
        try:
            with self._turn.held() as annex:
                stands = propagate(annex, Deadline(0.0))
                if stands is None:
                    return
                branch = adjusted_branch(annex.refs.head().ref) or self._adjusted
                is_due = stands.is_stale or (is_due and not branch.adjustment.is_stable)
                result = adjust_again(annex, branch, stands, Deadline(0.0)) if is_due else CheckoutResult()
                self._head = annex.refs.head().oid
                self._own_heads.update(filter(None, (stands.adjusted, self._head)))
        except BaseException:
            self._presence_changed = self._presence_changed or is_due
            raise
        if stands.made:
            log.info("propagate.finished", commits=len(stands.made))
            self._commits.put(Commit(Moved.TREE))
        self._adjusted_again(result)

    def _adjusted_again(self, result: CheckoutResult) -> None:
        if result.blocked:      # these are committed first; their commit is news, and this is due again then
            now = time.monotonic()
            self._changes.put_many([Change(path, ChangeKind.APPEARED, now) for path in result.blocked])
            self._presence_changed = True
        elif result.written or result.removed:
            log.info("adjust.finished", written=result.written, removed=result.removed)
            self._on_index_written()

    def _merge_trees(self, stop: StopSignal) -> None:
        with self._shared.locked() as annex:
            head = annex.refs.head()
            branch = branch_to_sync(head)
            names = [spec.name for spec in self._specs() if may_fetch(spec)]
            refs = refs_to_merge(branch, names) if branch is not None else ()
            found = [(ref, oid) for ref in refs if (oid := annex.refs.read(ref)) is not None]
        now = time.monotonic()
        for gone in [ref for ref in self._obstacles if ref and ref not in dict(found)]:
            self._overcome(gone)
        tried: set[Oid] = set()
        for ref, oid in found:
            if stop.is_set():
                return
            obstacle = self._obstacles.get(ref)
            is_waiting = obstacle is not None and obstacle.seen == (self._head, oid)
            if oid == self._head or oid in tried or (is_waiting and (obstacle.again is None or now < obstacle.again)):  # type: ignore[union-attr]
                continue
            tried.add(oid)
            self._merge(head.ref, ref, oid)

    def _merge(self, into: bytes | None, ref: bytes, oid: Oid) -> None:
        try:
            with self._turn.held() as annex:
                if annex.refs.head().ref != into:
                    return      # another branch was checked out, which is news: other refs go with it
                report = merge_into_head(annex, ref, Deadline(0.0))
                if report.moved and report.new is not None:
                    self._own_heads.add(report.new)
                    self._head = report.new
                    self._look_at_conflicts(annex, report.new)
        except (BusyError, ContentChanged) as error:        # somebody has a file open that was to be replaced
            self._put_off(ref, error, oid)
        except (AnnexError, OSError) as error:      # of this history; the others can be merged all the same
            self._refused(ref, oid, error)
        else:
            self._follow_up(ref, oid, report)

    def _follow_up(self, ref: bytes, oid: Oid, report: MergeReport) -> None:
        match report.kind:
            case MergeKind.CONFLICT:
                self._conflict(ref, oid, report)
            case MergeKind.BLOCKED:
                self._blocked(ref, oid, report)
            case MergeKind.UP_TO_DATE:
                self._overcome(ref)
            case MergeKind.FAST_FORWARD | MergeKind.MERGED | MergeKind.ADOPTED:
                self._overcome(ref)
                self._on_index_written()
                log.info("merge.finished", ref=ref, how=report.kind, written=report.written)
                self._conflicts.tell(report.resolved)
                self._tell_collided(report.collided)
                self._commits.put(Commit(Moved.MERGE if report.kind is MergeKind.MERGED else Moved.TREE))
                self._download(report.missing)

    def _tell_collided(self, paths: Sequence[bytes]) -> None:
        """Files of which another one here has the name, as upper and lower case are the same to the file system."""
        if paths:
            self._alerts.raise_alert(
                "collided",
                f"this file system has room for only one of the files named alike: {_shown(paths)}",
                hint="rename them elsewhere; the content of each is in the annex and in git's history",
            )

    def _download(self, missing: Sequence[Key]) -> None:
        waiting = iter(missing)
        annex = self._own.get()     # git may take long to find logs that have just come
        while batch := list(islice(waiting, BATCH)):
            self._requests.download(annex, [(key, None) for key in batch])

    def _look_at_conflicts(self, annex: AnnexState, head: Oid) -> None:
        if self._conflicts.has_any:
            self._conflicts.look_again(partial(_is_in, annex, tree_of(annex, head)))

    # -- what stands in the way

    def _conflict(self, ref: bytes, oid: Oid, report: MergeReport) -> None:
        """annex.resolvemerge is off. Tried again only when either side has moved: else it would end in the same way."""
        self._obstacles[ref] = _Obstacle((self._head, oid), time.monotonic())
        self._alerts.raise_alert(
            _conflict_alert(ref),
            f"{display(ref)} and the branch here changed the same files in different ways: {_shown(report.paths)}",
            hint=f"nothing was changed; merge by hand: git merge {display(ref)}",
            severity=Severity.ERROR,
        )

    def _blocked(self, ref: bytes, oid: Oid, report: MergeReport) -> None:
        now = time.monotonic()
        obstacle = self._obstacle(ref, oid, now)
        obstacle.again = now + min(index_backoff(obstacle.tries), BLOCKED_RETRY)
        self._changes.put_many([Change(path, ChangeKind.BLOCKING, now) for path in report.paths])
        log.debug("merge.blocked", ref=ref, paths=report.paths[:SHOWN])
        if obstacle.tries > 8:
            self._alerts.raise_alert(
                _conflict_alert(ref),
                f"{display(ref)} cannot be merged, as local files are in the way: {_shown(report.paths)}",
                hint="commit, move or remove them",
            )

    def _refused(self, ref: bytes, oid: Oid, error: AnnexError | OSError) -> None:
        now = time.monotonic()
        obstacle = self._obstacle(ref, oid, now)
        if not isinstance(error, RefusedError):     # what is unsafe stays so until the other side moves
            obstacle.again = now + min(FAILED_RETRY * obstacle.tries, LONGEST_RETRY)
        self._alerts.raise_alert(
            _conflict_alert(ref), f"{display(ref)} was not merged: {error}", hint=getattr(error, "hint", ""),
            severity=Severity.ERROR,
        )  # fmt: skip

    def _put_off(self, ref: bytes, error: AnnexError | OSError, oid: Oid | None = None) -> None:
        now = time.monotonic()
        obstacle = self._obstacle(ref, oid, now)
        obstacle.again = now + index_backoff(obstacle.tries)
        log.debug("merge.waits", ref=ref, reason=str(error))
        if now - obstacle.since > INDEX_ALERT:
            self._alerts.raise_alert(_conflict_alert(ref), f"merging waits: {error}")

    def _obstacle(self, ref: bytes, oid: Oid | None, now: float) -> _Obstacle:
        obstacle = self._obstacles.get(ref)
        if obstacle is None or obstacle.seen != (self._head, oid):
            obstacle = self._obstacles[ref] = _Obstacle((self._head, oid), now)
        obstacle.tries += 1
        return obstacle

    def _overcome(self, ref: bytes) -> None:
        if self._obstacles.pop(ref, None) is not None:
            self._alerts.clear(_conflict_alert(ref))

    def _is_retry_due(self) -> bool:
        wait = self._next_retry()
        return wait is not None and wait <= 0.0

    def _next_retry(self) -> float | None:
        moments = [obstacle.again for obstacle in self._obstacles.values() if obstacle.again is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None


def _is_from_elsewhere(annex: AnnexState, tip: Oid | None) -> bool:
    """Whether the git-annex branch is at a commit that another repository made."""
    return any(oid == tip for ref, oid in annex.refs.list().items() if ref.endswith(b"/git-annex") and ref != BRANCH)


def _is_in(annex: AnnexState, tree: Oid, path: bytes) -> bool:
    return Trees(annex.objects).lookup(tree, path) is not None


def _conflict_alert(ref: bytes) -> str:
    return f"merge {display(ref)}"


def _shown(paths: Sequence[bytes]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(display(path) for path in paths[:SHOWN]) + more
