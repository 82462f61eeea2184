"""Everything that touches the git history of one remote, in one thread: fetching, pushing, trying again."""

from __future__ import annotations

import enum
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from annexd.annex.branch import BranchUpdate
from annexd.annex.state import AnnexState
from annexd.assistant.alerts import Alerts
from annexd.assistant.changes import Commit, Moved
from annexd.assistant.status import Severity, StatusBoard
from annexd.errors import AnnexError, RemoteError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.git.config import set_config
from annexd.remotes.contract import RemoteKind, RemoteSpec
from annexd.remotes.git_ssh import ask_uuid
from annexd.sync.brake import Brake
from annexd.sync.fetch import fetch_remote, may_fetch
from annexd.sync.merge import HEADS, branch_to_sync
from annexd.sync.push import PushKind, PushOutcome, RemotePusher, may_push
from annexd.system.logging import get_logger
from annexd.threads.deadline import Deadline
from annexd.threads.latest import Latest
from annexd.threads.named_thread import NamedThread
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.job import Direction
from annexd.transfer.queue import TransferQueue

CRASH_REST = 1.0        # seconds, doubling, until a lane that crashed goes on
FIRST_RETRY = 1.0       # seconds; doubles with each failure
LONGEST_RETRY = 300.0
MOST_REJECTIONS = 6     # that count: where much is going on one follows the other, and nothing is wrong
LOOK_FOR_PATH = 2.0     # seconds between two looks for a repository on this machine that is not there
UPLOADS_STALL = 1.0     # seconds without an upload ending after which the tree goes out before its content
MERGE_JITTER = 0.1      # seconds; two repositories that merged each other must not push at the same moment for ever
LOCATIONS_QUIET = 0.05  # seconds without more news of locations after which they are pushed
LOCATIONS_PATIENCE = 0.3
LOCATIONS_OWED = 1.0    # seconds after which locations that were not due at the last push are looked at again
HELD_LOOK = 1.0         # seconds between two looks whether a person lets go what is held back
DELETION_QUIET = 0.5    # seconds without a commit after which a deletion counts as whole, where there is a brake
DELETION_PATIENCE = 10.0
ASK_LIMIT = 4.0         # seconds for asking who a remote is; less than the daemon may take to end
TIDY_AFTER = 0.5        # seconds without work after which the remote-tracking refs follow
REST_AFTER = 20.0       # seconds without work after which helper processes end

log = get_logger(__name__)


class Errand(enum.Enum):
    """What a lane is asked to do besides pushing commits."""

    RECONNECT = "reconnect"     # fetch, then push: the remote is new, or may be back


LaneItem = Commit | Errand


@dataclass(frozen=True, slots=True)
class LaneParts:
    """What all lanes share; everything in it may be used from any thread."""

    fork: Callable[[], AnnexState]
    flush: Callable[[AnnexState], BranchUpdate | None]
    is_flush_due: Callable[[], bool]
    queue: TransferQueue
    uploads_done: Latest[int]
    board: StatusBoard
    on_back: Callable[[], None]
    brake: Brake = field(default_factory=Brake)


class PushLane:
    """One remote's thread. `give` may be called from any thread."""

    def __init__(self, spec: RemoteSpec, parts: LaneParts) -> None:
        self.name = spec.name
        self._spec = Latest(spec)
        self._parts = parts
        self._inbox: Pool[LaneItem] = Pool()
        self._stop = StopSignal()
        self._failures = 0
        self._merges_in_a_row = 0
        self._was_away = False
        self._is_apart = False      # tuned otherwise than we are
        self._owes_locations = False
        self._is_held = False
        self._is_tidy = True        # nothing is left to do about the last push
        self._asked: str | None = None      # the url whose uuid was asked for
        self._annex: AnnexState | None = None
        self._pusher: RemotePusher | None = None
        self._thread = NamedThread(f"push {spec.name}", self._run)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def give(self, items: Iterable[LaneItem]) -> None:
        """Work for the lane."""
        self._inbox.put_many(items)

    def configure(self, spec: RemoteSpec) -> None:
        """The remote's settings, or whether it is there, changed."""
        before = self._spec.get()
        self._spec.replace(spec)
        came_back = spec.available and not before.available
        is_news = (may_push(spec), may_fetch(spec), spec.url) != (may_push(before), may_fetch(before), before.url)
        if came_back or is_news:
            self._inbox.put(Errand.RECONNECT)

    def pushes(self) -> bool:
        """Whether commits go to this remote."""
        return may_push(self._spec.get())

    def stop(self) -> None:
        """Start nothing more; what runs is ended."""
        self._stop.set()

    def join(self, deadline: Deadline) -> bool:
        """Whether the thread has ended by then."""
        return self._thread.join(deadline)

    # The rest runs in the lane's own thread.

    def _run(self) -> None:
        """A crash is told, and after a rest the lane goes on: with the other remotes it has nothing to do."""
        rest = CRASH_REST
        while not self._stop.is_set():
            try:
                self._serve()
            except BaseException as error:      # boundary: one remote
                log.error("push.crashed", remote=self.name, exc_info=error)
                Alerts(self._parts.board).raise_alert(
                    f"push {self.name}", f"syncing with {self.name} crashed, and is tried again: {error}",
                    hint="see annexd log; please report it", severity=Severity.ERROR,
                )  # fmt: skip
                self._inbox.put(Errand.RECONNECT)
                self._stop.wait(rest)
                rest = min(rest * 2, LONGEST_RETRY)

    def _serve(self) -> None:
        wait: float | None = None
        try:
            while not self._stop.is_set():
                items = self._inbox.drain(self._stop, timeout=self._timeout(wait))
                if self._stop.is_set():
                    return
                if not items and not (self._failures or self._owes_locations or self._is_held):
                    self._tidy_up()
                    continue
                try:
                    wait = self._work(items)
                except (AnnexError, OSError) as error:
                    wait = self._failed(str(error))
        finally:
            self._rest()

    def _timeout(self, retry: float | None) -> float | None:
        if retry is not None:
            return retry
        if self._pusher is not None and not self._is_tidy:
            return TIDY_AFTER
        return REST_AFTER if self._annex is not None else None

    def _tidy_up(self) -> None:
        """There is a pause: do what can wait; after a longer one let go of everything."""
        if self._pusher is None or self._is_tidy:
            self._rest()
            return
        self._is_tidy = True
        self._pusher.note_tracking()
        self._introduce()

    def _introduce(self) -> None:
        """Ask once which repository a remote over ssh is; that is noted, and read like any other setting."""
        spec = self._spec.get()
        if spec.kind is not RemoteKind.GIT_SSH or spec.uuid is not None or spec.url is None or spec.config.ignore:
            return
        if self._asked == spec.url or self._annex is None:
            return
        self._asked = spec.url
        try:
            uuid = ask_uuid(spec.url, shell=spec.config.setting("annex-shell"), timeout=ASK_LIMIT)
        except (RemoteError, OSError) as error:     # history goes there all the same
            log.info("remote.unknown", remote=self.name, reason=str(error))
            return
        if uuid is not None:
            set_config(self._annex.repo, f"remote.{self.name}.annex-uuid", uuid)

    def _work(self, items: Sequence[LaneItem]) -> float | None:
        spec = self._spec.get()
        if not spec.available and spec.path is not None and not _is_there(spec.path):
            return self._away(spec)
        if self._was_away:
            self._was_away = False
            items = (*items, Errand.RECONNECT)
            self._parts.on_back()
        annex = self._annex = self._annex or self._parts.fork()
        if Errand.RECONNECT in items and may_fetch(spec):
            outcome = fetch_remote(annex, spec, self._stop)
            if not outcome.is_done:
                return self._apart(outcome.reason) if outcome.is_apart else self._failed(outcome.reason)
        if not may_push(spec):
            self._failures = 0
            return None
        items = self._more(items)
        self._wait_for_others([item for item in items if isinstance(item, Commit)], spec)
        return self._push(annex, spec)

    def _more(self, items: Sequence[LaneItem]) -> Sequence[LaneItem]:
        """News of locations alone can wait for a moment: often the commit that they belong to is just being made."""
        all_items = list(items)
        deadline = Deadline(LOCATIONS_PATIENCE)
        while all_items and not deadline.expired() and all(_is_about_locations(item) for item in all_items):
            more = self._inbox.drain(self._stop, timeout=deadline.limit(LOCATIONS_QUIET))
            if not more:
                break
            all_items += more
        return all_items

    def _push(self, annex: AnnexState, spec: RemoteSpec) -> float | None:
        if self._stop.is_set():
            return None
        pusher = self._pusher = self._pusher or RemotePusher(annex, self._parts.brake)
        self._wait_for_rest(annex)
        self._owes_locations = not self._parts.is_flush_due()
        if not self._owes_locations:
            # Writing locations waits for the disk. The tree need not: its content is there, or is not to be had yet.
            pusher.push_tree_if_direct(spec, branch_to_sync(annex.refs.head()))
            self._parts.flush(annex)
        outcome = pusher.push(spec, branch_to_sync(annex.refs.head()), self._stop)
        self._is_held = outcome.kind is PushKind.HELD
        match outcome.kind:
            case PushKind.HELD:
                self._failures = 0
                return HELD_LOOK
            case PushKind.UP_TO_DATE | PushKind.PUSHED:
                self._pushed(outcome)
                return LOCATIONS_OWED if self._owes_locations else None
            case PushKind.REJECTED:
                log.info("push.rejected", remote=self.name, reason=outcome.reason)
                if may_fetch(spec):
                    fetch_remote(annex, spec, self._stop)       # the merger sees what came, and its merge is pushed
                self._failures = min(self._failures, MOST_REJECTIONS)
                return self._retry_in(0.1 * 2**self._failures, outcome.reason)
            case PushKind.APART:
                return self._apart(outcome.reason)
            case PushKind.FAILED:
                return self._failed(outcome.reason)

    def _apart(self, reason: str) -> float:
        """Nothing is exchanged while that is so; it is looked at again, as another repository may take its place."""
        text = f"nothing is exchanged with {self.name}: {reason}"
        self._is_apart = True
        Alerts(self._parts.board).raise_alert(f"apart {self.name}", text, severity=Severity.ERROR)
        return self._failed(reason)

    def _wait_for_rest(self, annex: AnnexState) -> None:
        """A large deletion is committed in pieces: with a brake, all of it is to be judged before any of it goes."""
        branch = branch_to_sync(annex.refs.head())
        ours = None if branch is None else annex.refs.read(HEADS + branch)
        if not self._parts.brake.may_grow(annex, branch, ours):
            return
        deadline, errands = Deadline(DELETION_PATIENCE), []
        while not deadline.expired():
            more = self._inbox.drain(self._stop, timeout=deadline.limit(DELETION_QUIET))
            errands += [item for item in more if isinstance(item, Errand)]
            if not more and not self._parts.board.get().pending_changes:
                break
        self._inbox.put_many(errands)

    def _pushed(self, outcome: PushOutcome) -> None:
        if self._is_apart:
            self._is_apart = False
            Alerts(self._parts.board).clear(f"apart {self.name}")
        if self._failures:
            log.info("push.recovered", remote=self.name)
        self._is_tidy = self._is_tidy and outcome.kind is PushKind.UP_TO_DATE
        fields: dict[str, object] = {"available": True, "last_error": "", "next_try": 0.0}
        if outcome.kind is PushKind.PUSHED:
            fields["last_push"] = time.time()
            log.debug("push.finished", remote=self.name)
        if self._failures or outcome.kind is PushKind.PUSHED:
            self._parts.board.set_remote(self.name, **fields)
        self._failures = 0

    def _wait_for_others(self, commits: Sequence[Commit], spec: RemoteSpec) -> None:
        """The content of small files should be there before the tree that names them."""
        if commits and all(commit.moved is Moved.MERGE for commit in commits):
            self._merges_in_a_row = min(self._merges_in_a_row + 1, 6)
            self._stop.wait(random.random() * MERGE_JITTER * 2**self._merges_in_a_row)
        else:
            self._merges_in_a_row = 0
        keys = [key for commit in commits for key in commit.small]
        if keys and spec.uuid is not None and spec.holds_content:
            self._wait_for_uploads(spec.uuid, keys)

    def _wait_for_uploads(self, uuid: UUID, keys: Sequence[Key]) -> None:
        waiting = list(keys)
        while not self._stop.is_set():
            done = self._parts.uploads_done.get()
            waiting = [key for key in waiting if (Direction.UPLOAD, uuid, key) in self._parts.queue]
            if not waiting:
                return
            if self._parts.uploads_done.wait_for(lambda now: now != done, Deadline(UPLOADS_STALL)) is None:  # noqa: B023
                log.debug("push.goes_first", remote=self.name, uploads=len(waiting))
                return

    def _away(self, spec: RemoteSpec) -> float:
        self._was_away = True
        self._parts.board.set_remote(self.name, available=False)
        self._failures = max(self._failures, 1)
        log.debug("push.deferred", remote=self.name, reason="not there")
        return LOOK_FOR_PATH if spec.path is not None else FIRST_RETRY

    def _failed(self, reason: str) -> float:
        self._was_away = True
        spec = self._spec.get()
        if spec.path is not None and not _is_there(spec.path):
            return self._away(spec)
        delay = min(FIRST_RETRY * 2**self._failures, LONGEST_RETRY) * (0.75 + random.random() / 2)
        return self._retry_in(delay, reason)

    def _retry_in(self, delay: float, reason: str) -> float:
        self._failures = min(self._failures + 1, 16)
        log.info("push.failed", remote=self.name, reason=reason, retry_in=round(delay, 1))
        self._parts.board.set_remote(self.name, last_error=reason, next_try=time.time() + delay)
        return delay

    def _rest(self) -> None:
        if self._pusher is not None:
            if not self._is_tidy:
                self._pusher.note_tracking()
                self._is_tidy = True
            self._pusher.close()
            self._pusher = None
        if self._annex is not None:
            self._annex.close()
            self._annex = None


def _is_about_locations(item: LaneItem) -> bool:
    return isinstance(item, Commit) and item.moved is Moved.LOCATIONS


def _is_there(path: bytes) -> bool:
    return os.path.lexists(path + b"/.git") or os.path.isdir(path + b"/objects")
