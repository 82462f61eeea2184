"""Has commits pushed to all remotes, each in a lane of its own, so that a slow one keeps nobody waiting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annexd.assistant.changes import Commit, Commits, Reconnect
from annexd.assistant.push_lane import HELD_LOOK, Errand, LaneParts, PushLane
from annexd.errors import AnnexError
from annexd.remotes.contract import RemoteSpec
from annexd.sync.fetch import may_fetch
from annexd.sync.merge import HEADS, branch_to_sync
from annexd.sync.push import may_push
from annexd.system.logging import get_logger
from annexd.threads.deadline import Deadline
from annexd.threads.latest import Latest
from annexd.threads.stop_signal import StopSignal

LANES_END = 3.0     # seconds that the lanes have for ending

log = get_logger(__name__)

Specs = tuple[RemoteSpec, ...]


class Pusher:
    """Collects commits; those that arrive during one push become the next. Owns the lanes.

    `specs` is what remotes there are; Reconnect(None) tells of a new value. With no remote to push to, location logs
    are written all the same. `on_new` is told of each remote that was not there before, `on_commits`
    that branches moved.
    """

    def __init__(
        self,
        commits: Commits,
        specs: Latest[Specs],
        parts: LaneParts,
        on_new: Callable[[RemoteSpec], None],
        on_commits: Callable[[], None] = lambda: None,
    ) -> None:
        self._commits = commits
        self._specs = specs
        self._parts = parts
        self._on_new = on_new
        self._on_commits = on_commits
        self._lanes: dict[str, PushLane] = {}
        self._annex = parts.fork()
        self._is_held = False

    def run(self, stop: StopSignal) -> None:
        """Until `stop`; ends the lanes."""
        self._arrange()
        try:
            if not any(lane.pushes() for lane in self._lanes.values()):
                self._judge()
            while not stop.is_set():
                items = self._commits.drain(stop, timeout=HELD_LOOK if self._is_held else None)
                if self._is_held and not items:
                    self._judge()
                self._reconnect([item.name for item in items if isinstance(item, Reconnect)])
                commits = [item for item in items if isinstance(item, Commit)]
                if commits and not stop.is_set():
                    self._dispatch(commits)
                    self._on_commits()
        finally:
            self._end()
            self._annex.close()

    def _dispatch(self, commits: Sequence[Commit]) -> None:
        lanes = [lane for lane in self._lanes.values() if lane.pushes()]
        for lane in lanes:
            lane.give(commits)
        if not lanes:
            self._judge()
            self._parts.flush(self._annex)

    def _judge(self) -> None:
        """With nobody to push to there still may be others who fetch."""
        try:
            branch = branch_to_sync(self._annex.refs.head())
            ours = None if branch is None else self._annex.refs.read(HEADS + branch)
            self._is_held = self._parts.brake.judge(self._annex, branch, ours) is not None
        except (AnnexError, OSError) as error:
            log.warning("brake.failed", reason=str(error))

    def _reconnect(self, names: Sequence[str | None]) -> None:
        if None in names:
            self._arrange()
        for name in names:
            if name is not None and name in self._lanes:
                self._lanes[name].give((Errand.RECONNECT,))

    def _arrange(self) -> None:
        """One lane for each remote whose history we exchange."""
        specs = {spec.name: spec for spec in self._specs.get() if spec.url is not None}
        for name in [name for name in self._lanes if name not in specs]:
            self._lanes.pop(name).stop()
        for name, spec in specs.items():
            lane = self._lanes.get(name)
            if lane is not None:
                lane.configure(spec)
            elif may_push(spec) or may_fetch(spec):
                lane = self._lanes[name] = PushLane(spec, self._parts)
                lane.start()
                lane.give((Errand.RECONNECT,))
                self._on_new(spec)

    def _end(self) -> None:
        lanes, self._lanes = list(self._lanes.values()), {}
        for lane in lanes:
            lane.stop()
        deadline = Deadline(LANES_END)
        late = [lane.name for lane in lanes if not lane.join(deadline)]
        if late:
            log.warning("push.abandoned", remotes=late)
