"""Takes changed files in and commits them: a lone change at once, a burst in few commits.

Hashing and copying happen without any lock, in chunks, so that the first files of a burst are on their way to the
remotes while the later ones are read. Only staging holds the work tree's turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from annexd.annex.adjusted import propagate
from annexd.annex.commit import REMOVE, CommitResult, IndexUpdate, settle, stage_and_commit
from annexd.annex.durability import make_durable
from annexd.annex.fix_links import fix_staged_links
from annexd.annex.index_repair import repair_index
from annexd.annex.shared import SharedAnnex
from annexd.annex.state import AnnexState
from annexd.annex.unfinished import at_work
from annexd.assistant.alerts import Alerts
from annexd.assistant.batch import Batch, BatchMaker
from annexd.assistant.changes import Change, ChangeKind, ChangePool, Commit, Commits, Moved, nudge
from annexd.assistant.classify import still_holds
from annexd.assistant.commit_policy import CHUNK, INDEX_ALERT, Decision, decide, index_backoff
from annexd.assistant.pending import Pending
from annexd.assistant.root_guard import RootGuard
from annexd.assistant.status import Severity, StatusBoard
from annexd.assistant.turn import WorkTreeTurn
from annexd.errors import AnnexError, BusyError, FormatError, RefMoved
from annexd.formats.adjustment import adjusted_branch
from annexd.formats.key import Key
from annexd.git.objects import Oid
from annexd.system.logging import get_logger
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.job import SMALL

SETTLE_AFTER = 1.1      # seconds; then git can tell a file's time from the index's
LOCK_WAIT = 0.0         # seconds to wait for git's index inside a try; waiting is done between tries, without the turn
TOLD_AFTER = 5          # tries for git's index; then the log tells that we wait
FAILURE_WAIT = 2.0      # seconds after a failure that is not about a lock

REST_AFTER = 10.0       # seconds without a change after which the processes that help with many end

log = get_logger(__name__)


class KeysAdded(Protocol):
    """What is done about keys that came into the tree: location logs, uploads, downloads."""

    def __call__(self, keys: Sequence[tuple[Key, bytes]], new_content: Sequence[Key]) -> None:
        """Called by the committer, without any lock, with (key, file), and the keys whose content is here just now."""


@dataclass(slots=True)
class _Obstacle:
    """What keeps us from committing: since when, how often tried, and when to try again. Monotonic seconds."""

    since: float
    tries: int = 0
    again: float = 0.0


class Committer:
    """The only thread that stages files of the work tree. What cannot be committed now is kept and tried again."""

    def __init__(
        self,
        pool: ChangePool,
        shared: SharedAnnex,
        turn: WorkTreeTurn,
        make_batches: Callable[[], BatchMaker],
        guard: RootGuard,
        commits: Commits,
        on_keys: KeysAdded,
        on_commit: Callable[[Oid], None],
        alerts: Alerts,
        board: StatusBoard,
        *,
        look_again: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._look_again = look_again
        self._shared = shared
        self._turn = turn
        self._make_batches = make_batches
        self._guard = guard
        self._commits = commits
        self._on_keys = on_keys
        self._on_commit = on_commit
        self._alerts = alerts
        self._board = board
        self._pending = Pending()
        self._ready: dict[bytes, IndexUpdate] = {}      # taken in, not committed yet
        self._small: list[Key] = []                     # small new content that goes with them
        self._unsynced = 0                              # new contents that may not be on the disk yet
        self._obstacle: _Obstacle | None = None
        self._settle_at: float | None = None
        self._rest_at: float | None = None
        self._rules_changed = True
        self._freed = False

    def forget_rules(self) -> None:
        """.gitignore or .gitattributes changed. Any thread."""
        self._rules_changed = True

    def index_written(self) -> None:
        """Files were written together with the index: it has to be settled. Any thread."""
        self._settle_at = time.monotonic() + SETTLE_AFTER
        self._pool.put(nudge())

    def obstacle_gone(self) -> None:
        """A lock or an unfinished merge of a person may have gone. Any thread."""
        obstacle = self._obstacle
        if obstacle is not None:
            obstacle.again = 0.0
            self._freed = True
            self._pool.put(nudge())

    def run(self, stop: StopSignal) -> None:
        """Commit what changes until `stop`; then once more what is there."""
        batches = self._make_batches()
        self._settle_at = time.monotonic()      # the daemon before us may have ended before it could do that
        try:
            wait: float | None = 0.0
            while not stop.is_set():
                news = self._pool.drain(stop, timeout=wait)
                if any(change.path == b"" for change in news):
                    self._look_at_root()
                self._pending.add(news)
                wait = self._step(batches)
            self._pending.add(self._pool.take_all())
            if self._pending.now and len(self._pending.now) <= CHUNK:
                self._act(batches)
        finally:
            batches.close()

    def _step(self, batches: BatchMaker) -> float | None:
        """Do what is due; the seconds after which to come again without news, None for never."""
        now = time.monotonic()
        if self._freed:
            self._freed = False
            self._pending.hurry()
        self._pending.wake(now)
        if self._pending.now and not self._shared.config.autocommit:
            self._pending.forget_all()
        if self._pending.now:
            verdict = decide(self._pending.now.values(), now)
            if verdict.decision is Decision.WAIT:
                return verdict.wait
            self._act(batches)
            self._rest_at = time.monotonic() + REST_AFTER
        elif self._ready and self._is_due(now):
            self._commit(batches)
        elif self._settle_at is not None and now >= self._settle_at:
            self._settle()
        elif self._rest_at is not None and now >= self._rest_at:
            self._rest_at = None
            batches.rest()
        self._tell_pending()
        return self._next_wake(time.monotonic())

    def _tell_pending(self) -> None:
        count = len(self._pending) + len(self._ready)
        if self._board.get().pending_changes != count:
            self._board.set(pending_changes=count)

    def _is_due(self, now: float) -> bool:
        return self._obstacle is None or now >= self._obstacle.again

    def _next_wake(self, now: float) -> float | None:
        if self._pending.now:
            return 0.0
        moments = [self._pending.next_wake(), self._settle_at, self._rest_at]
        if self._ready:
            moments.append(self._obstacle.again if self._obstacle is not None else now)
        return min((max(0.0, moment - now) for moment in moments if moment is not None), default=None)

    def _act(self, batches: BatchMaker) -> None:
        """Take in one chunk of what is due, and commit it."""
        if not self._guard.is_root_there():
            self._root_is_gone()
            return
        self._root_is_back()
        if self._rules_changed:
            self._rules_changed = False
            batches.forget_rules()
        changes = self._pending.take(CHUNK)
        batch = self._make(batches, changes)
        if batch is None:
            assert self._obstacle is not None       # both ways of failing make one
            for change in changes:
                self._pending.put_off(change, self._obstacle.again)
            return
        self._pending.add(batch.again)
        for change, until in batch.later:
            self._pending.put_off(change, until)
        self._take_in(batch)
        self._tell_pending()
        if not self._ready:
            self._overcome()
        elif self._is_due(time.monotonic()):
            self._commit(batches)

    def _make(self, batches: BatchMaker, changes: list[Change]) -> Batch | None:
        """None when it failed as a whole; then there is an obstacle."""
        try:
            return batches.make(changes, self._ready)
        except BusyError as error:
            self._wait_for_others(str(error))
        except (AnnexError, OSError) as error:
            self._failed(error)
        except BaseException:
            self._pending.add(changes)
            raise
        return None

    def _look_at_root(self) -> None:
        """Something may be wrong with the work tree as a whole, or may be right again."""
        if self._guard.is_root_there():
            self._guard.look_at_mounts()
            self._root_is_back()
            self._repair_index()
        else:
            self._root_is_gone()

    def _take_in(self, batch: Batch) -> None:
        self._unsynced += len(batch.new_content)
        if batch.keys:
            self._on_keys(batch.keys, batch.new_content)
            self._small += [key for key in batch.new_content if key.size is not None and key.size <= SMALL]
        for update in batch.updates:
            self._ready[update.path] = update

    def _commit(self, batches: BatchMaker) -> None:
        message = batches.message()
        try:
            # After a power cut history must not name a burst of files whose content never reached the disk.
            make_durable(self._shared.layout, self._unsynced)
            self._unsynced = 0
            with self._turn.held() as annex:
                self._fix_moved_links(annex)
                updates = self._current_updates()
                if any(update.mode == REMOVE for update in updates) and not self._guard.is_root_there():
                    self._root_is_gone()
                    return
                is_adjusted = adjusted_branch(annex.refs.head().ref) is not None
                on_moved = self._on_commit if is_adjusted else self._announce
                result = stage_and_commit(annex, updates, message, Deadline(LOCK_WAIT), on_moved=on_moved)
                if is_adjusted and result is not None:
                    self._propagate(annex, result.new)
        except RefMoved:
            self._wait_for_others("HEAD moved meanwhile", at_once=True)
        except BusyError as error:
            self._wait_for_others(str(error))
        except (AnnexError, OSError) as error:
            self._failed(error)
        else:
            self._committed(updates, result)

    def _fix_moved_links(self, annex: AnnexState) -> None:
        """The index is committed whole, with links too that a person's `git mv` took along as they were, and that the
        watcher may not have told of yet.
        """
        if annex.index.may_hold_others() and at_work(annex) is None:
            for path in fix_staged_links(annex, Deadline(LOCK_WAIT)):
                log.info("link.fixed", path=path)

    def _propagate(self, annex: AnnexState, commit: Oid) -> None:
        """The commit is on an adjusted branch; others get it when it is on the original one."""
        try:
            stands = propagate(annex, Deadline(LOCK_WAIT))
        except (AnnexError, OSError) as error:
            log.info("propagate.waits", reason=str(error))      # the merger, whom the ref tells, tries again
        else:
            self._announce(commit if stands is None else stands.adjusted)

    def _announce(self, commit: Oid) -> None:
        """The branch moved: what is pushed need not wait for the index."""
        small, self._small = tuple(self._small), []
        self._on_commit(commit)
        self._commits.put(Commit(Moved.TREE, small))

    def _committed(self, updates: Sequence[IndexUpdate], result: CommitResult | None) -> None:
        self._small = []
        self._ready.clear()
        self._overcome()
        if result is None:
            return
        if result.young:
            self._settle_at = time.monotonic() + SETTLE_AFTER
        self._board.count(files_committed=len(updates))
        self._board.set(last_commit=time.time())
        log.info("commit.made", files=len(updates), commit=result.new.hex())

    def _overcome(self) -> None:
        if self._obstacle is not None:
            self._obstacle = None
            self._alerts.clear("index-locked")
            self._alerts.clear("commit-failed")

    def _current_updates(self) -> list[IndexUpdate]:
        """What is ready and still so; the rest is looked at again."""
        top, now = self._shared.layout.work_tree or b"", time.monotonic()
        for path in [path for path, update in self._ready.items() if not still_holds(top, update)]:
            del self._ready[path]
            log.debug("path.changed_since", path=path)
            self._pending.add([Change(path, ChangeKind.APPEARED, now)])
        return list(self._ready.values())

    def _settle(self) -> None:
        self._settle_at = None
        try:
            with self._turn.held() as annex:
                if settle(annex, Deadline(LOCK_WAIT)):
                    self._settle_at = time.monotonic() + SETTLE_AFTER
        except BusyError:
            self._settle_at = time.monotonic() + SETTLE_AFTER
        except (AnnexError, OSError) as error:
            log.debug("settle.skipped", reason=str(error))      # costs git some reading later, nothing else

    def _wait_for_others(self, reason: str, *, at_once: bool = False) -> None:
        now = time.monotonic()
        obstacle = self._obstacle = self._obstacle or _Obstacle(since=now)
        obstacle.tries += 1
        obstacle.again = now if at_once and obstacle.tries < 10 else now + index_backoff(obstacle.tries)
        say = log.info if obstacle.tries == TOLD_AFTER else log.debug
        say("commit.waits", reason=reason, tries=obstacle.tries, files=len(self._ready))
        if now - obstacle.since >= INDEX_ALERT:
            self._alerts.raise_alert(
                "index-locked",
                f"{len(self._ready) + len(self._pending)} changed files wait to be committed: {reason}",
                hint="finish or abort the git command; if none runs, remove .git/index.lock",
            )

    def _failed(self, error: AnnexError | OSError) -> None:
        if isinstance(error, FormatError) and self._repair_index():
            return
        now = time.monotonic()
        obstacle = self._obstacle = self._obstacle or _Obstacle(since=now)
        obstacle.tries += 1
        obstacle.again = now + min(FAILURE_WAIT * 2 ** min(obstacle.tries, 6), 60.0)
        self._alerts.raise_alert("commit-failed", f"committing failed: {error}", severity=Severity.ERROR)

    def _repair_index(self) -> bool:
        """Whether git's index was the trouble, and is sound again."""
        try:
            with self._turn.held() as annex:
                done = repair_index(annex, Deadline(LOCK_WAIT))
        except (AnnexError, OSError) as error:
            log.warning("index.unrepaired", reason=str(error))
            return False
        for line in done:
            self._alerts.raise_alert("index-damaged", line, hint="all files are looked at again")
        if done:
            self._obstacle = self._obstacle or _Obstacle(since=time.monotonic())
            self._obstacle.again = time.monotonic()
            self._look_again()
        return bool(done)

    def _root_is_back(self) -> None:
        if self._alerts.is_raised("root"):
            self._alerts.clear("root")
            self._look_again()

    def _root_is_gone(self) -> None:
        """Nothing is believed about files while the work tree is away; a full scan follows when it is back."""
        self._pending.forget_all()
        self._ready.clear()
        self._small.clear()
        self._alerts.raise_alert(
            "root",
            "the work tree is gone, or another directory is in its place; nothing is committed until it is back",
            hint="mount it again; if it was replaced on purpose, restart annexd",
            severity=Severity.ERROR,
        )
