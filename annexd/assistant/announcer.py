"""Tells the others where content is now: at once when it is news, in fewer steps while much comes and goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from annexd.annex.state import AnnexState
from annexd.assistant.changes import Commit, Commits, Moved
from annexd.errors import AnnexError
from annexd.system.logging import get_logger
from annexd.threads.pool import Pool
from annexd.threads.stop_signal import StopSignal

QUIET = 0.03            # seconds without news after which what there is gets told, when nothing is under way
FIRST_PATIENCE = 4.0    # seconds that news waits for more; doubles each time while it keeps coming
LONGEST_PATIENCE = 60.0
STREAM_GAP = 5.0        # seconds without news after which it does not keep coming any more
RETRY = 1.0
REST_AFTER = 20.0       # seconds without news after which the state's helper processes end

log = get_logger(__name__)


@dataclass(slots=True)
class AnnouncePolicy:
    """When to tell. Times are monotonic seconds.

    Each telling costs a commit of the git-annex branch and a push to each remote. A thousand transfers that end within
    ten minutes cost at most twenty, however they are spread; the last of them is told of soon after it ended.
    """

    patience: float = FIRST_PATIENCE
    first: float | None = None      # of the news not told yet
    last: float = float("-inf")
    interval: float = 0.0           # between two pieces of news, as a sliding mean

    def news(self, now: float) -> None:
        """There is something to tell."""
        gap = now - self.last
        if gap > max(STREAM_GAP, 4 * self.interval):
            self.patience, self.interval = FIRST_PATIENCE, 0.0
        else:
            self.interval += 0.3 * (gap - self.interval)
        self.last = now
        if self.first is None:
            self.first = now

    def due(self, *, is_busy: bool) -> float | None:
        """When to tell, as things are; None when there is nothing. `is_busy`: more is certain to come."""
        if self.first is None:
            return None
        by_patience = self.first + self.patience
        if is_busy:
            return by_patience
        return min(by_patience, self.last + min(max(QUIET, 4 * self.interval), STREAM_GAP))

    def told(self) -> None:
        """It was told."""
        self.first = None
        self.patience = min(self.patience * 2, LONGEST_PATIENCE)


class Announcer:
    """One thread. `flush` writes what is known of locations into the branch; the pusher is told when it moved.

    `has_news` is whether anything waits to be written: often a push of new files took it along.
    """

    def __init__(
        self,
        fork: Callable[[], AnnexState],
        flush: Callable[[AnnexState], object],
        has_news: Callable[[], bool],
        is_busy: Callable[[], bool],
        commits: Commits,
    ) -> None:
        self._fork = fork
        self._flush = flush
        self._has_news = has_news
        self._is_busy = is_busy
        self._commits = commits
        self._bell: Pool[None] = Pool()
        self._policy = AnnouncePolicy()

    def news(self) -> None:
        """Content came or went. Any thread; never blocks."""
        self._bell.put(None)

    @property
    def patience(self) -> float:
        """Seconds that news waits for more just now. Any thread."""
        return self._policy.patience

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. Blocks on news alone."""
        with ExitStack() as states:
            state: AnnexState | None = None
            while not stop.is_set():
                due = self._policy.due(is_busy=self._is_busy())
                rest = REST_AFTER if state is not None else None
                if self._bell.drain(stop, rest if due is None else max(0.0, due - time.monotonic())):
                    self._policy.news(time.monotonic())
                elif due is None:
                    states.close()
                    state = None
                due = self._policy.due(is_busy=self._is_busy())
                if due is not None and due <= time.monotonic() and not stop.is_set():
                    if state is None:
                        state = states.enter_context(self._fork())
                    self._tell(state, stop)

    def _tell(self, state: AnnexState, stop: StopSignal) -> None:
        if self._has_news():
            try:
                self._flush(state)
            except (AnnexError, OSError) as error:
                log.info("announcement.postponed", reason=str(error))
                stop.wait(RETRY)
                return
            self._commits.put(Commit(Moved.LOCATIONS))
        self._policy.told()
