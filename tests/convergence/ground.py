"""Two or three repositories that have each other as remotes, what happens to their daemons, and when all is quiet."""

from __future__ import annotations

import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.convergence.chronicle import Chronicle, Tokens
from tests.convergence.person import Person, walk
from tests.convergence.renamed_by_merges import MergesOf
from tests.interop.oracle import Oracle
from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import Side
from tests.support.repositories import make_removable

PAIR = ("ab",)
CHAIN = ("ab", "bc")
TRIANGLE = ("ab", "bc", "ac")
Topology = Sequence[str]
"""Which of the sides have each other as remotes."""

CALM = 2.0              # seconds without a new commit anywhere: what still went to and fro would have made one
NOWHERE = "away"        # where the path of a remote leads that is not there
MARKERS = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)
CRASHES = ("Traceback (most recent call last)", '"event": "thread.crashed"', "thread crashed", "thread.parked")
SETTINGS = {"annex.largefiles": "exclude=*.txt", "annex.diskreserve": "0"}


class Ground:
    """The sides, by name. Side `annexed` has no daemon: a person runs git-annex there now and then."""

    def __init__(
        self, top: Path, env: Mapping[str, str], seed: int, topology: Topology, *, unlocked: str = "", annexed: str = ""
    ) -> None:
        self.top = top
        self.env = dict(env)
        self.annexed = annexed
        self.chronicle = Chronicle()
        self.chronicle.note("", "made", (seed, ",".join(topology), unlocked, annexed))
        self.sides = {name: Side(top / name, env) for name in sorted(set("".join(topology)))}
        self._turns = {name: threading.Lock() for name in self.sides}
        self._merges = {name: MergesOf(side, self.chronicle) for name, side in self.sides.items()}
        for name, side in self.sides.items():
            self._make(name, side, "true" if name in unlocked else "false")
        for one, other in topology:
            self._link(one, other)
            self._link(other, one)

    def _make(self, name: str, side: Side, unlocked: str) -> None:
        side.repo.mkdir()
        side.git("init", "-q")
        for setting, value in {**SETTINGS, "annex.addunlocked": unlocked}.items():
            side.git("config", setting, value)
        if name == self.annexed:
            Oracle(self.env).annex(side.repo, "init", name)
        else:
            Annexd(self.env)(side.repo, "init", name)

    def _link(self, one: str, other: str) -> None:
        """A remote whose path leads through a symlink, so that it can be away for a while."""
        (self.top / f"{one}-to-{other}").symlink_to(other)
        self.sides[one].git("remote", "add", other, str(self.top / f"{one}-to-{other}"))

    # what happens

    def start(self) -> None:
        """All daemons."""
        for name, side in self.sides.items():
            if name != self.annexed:
                side.start()

    def live(self, people: Sequence[Person], seconds: float, seed: int, *, pace: float, trouble: bool) -> None:
        """People work, daemons and remotes come and go; in the end everything is there again."""
        end, failures = time.monotonic() + seconds, list[BaseException]()
        works = [lambda person=person: self._work(person, end, pace, seed) for person in people]
        if trouble:
            works.append(lambda: self._trouble(end, seed))
        if self.annexed:
            works.append(lambda: self._sync_now_and_then(end))
        threads = [threading.Thread(target=_guarded(work, failures)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        for name in list(self.sides):
            self.happen("start", name)
        for link in self.top.glob("?-to-?"):
            self.happen("back", link.name[0], link.name[-1])

    def _work(self, person: Person, end: float, pace: float, seed: int) -> None:
        pauses = random.Random(f"pauses {seed} {person.side}")
        while time.monotonic() < end:
            for _ in range(pauses.choice((1, 1, 1, 2, 10))):
                with self._turns[person.side]:
                    person.step()
            time.sleep(min(pauses.expovariate(1 / pace), 10 * pace))

    def _trouble(self, end: float, seed: int) -> None:
        fate = random.Random(f"fate {seed}")
        while time.monotonic() < end:
            time.sleep(fate.uniform(0.5, 4.0))
            name = fate.choice(list(self.sides))
            match fate.choice(("kill", "stop", "away")):
                case "away":
                    other = fate.choice([link.name[-1] for link in self.top.glob(f"{name}-to-?")] or [""])
                    if other:
                        self.happen("away", name, other)
                        time.sleep(fate.uniform(0.5, 3.0))
                        self.happen("back", name, other)
                case what:
                    self.happen(what, name)
                    time.sleep(fate.uniform(0.0, 2.0))
                    self.happen("start", name)

    def happen(self, what: str, *args: str) -> None:
        """kill, stop, start NAME; away, back NAME OTHER; sync NAME. Also for replaying a log."""
        side = self.sides[args[0]]
        has_daemon = args[0] != self.annexed
        self.chronicle.note("", what, args)
        match what:
            case "kill" if has_daemon:
                side.kill()
            case "stop" if has_daemon:
                side.stop()
            case "start" if has_daemon and (side.running is None or not side.running.is_running()):
                side.start()
            case "away" | "back":
                self._reach(f"{args[0]}-to-{args[1]}", args[1] if what == "back" else NOWHERE)
            case "sync":
                with self._turns[args[0]]:
                    self._sync(args[0])

    def _reach(self, link: str, target: str) -> None:
        """Let a remote's path lead there. The path is never free: git-annex makes directories where a remote was."""
        new = self.top / f"{link}.new"
        new.symlink_to(target)
        new.replace(self.top / link)

    def _sync_now_and_then(self, end: float) -> None:
        while time.monotonic() < end:
            self.happen("sync", self.annexed)
            time.sleep(1.5)

    def _sync(self, name: str) -> None:
        """What a person at git-annex types. It may fail when the other side changes something meanwhile."""
        for args in (["add", "."], ["sync", "--content"]):
            done = subprocess.run(
                ["git-annex", *args], cwd=self.sides[name].repo, env=self.env, capture_output=True, timeout=300
            )
            self.chronicle.note(name, "# git-annex " + args[0], (done.returncode,), _tail(done.stdout + done.stderr))
        self._abandon_merge(name)
        self._merges[name].look()

    def _abandon_merge(self, name: str) -> None:
        """What git-annex could not end. Adding all files next would add git's conflict markers; instead
        the daemon at the other end resolves it, as it gets what was pushed.
        """
        side = self.sides[name]
        if (side.repo / ".git/MERGE_HEAD").exists():
            argv = ["git", "reset", "-q", "--hard"]     # what half a resolution left is in the way of merge --abort
            done = subprocess.run(argv, cwd=side.repo, env=self.env, capture_output=True, timeout=60)
            self.chronicle.note(name, "# " + " ".join(argv), (done.returncode,), _tail(done.stderr))

    # when all is quiet

    def settle(self, limit: float) -> None:
        """Wait until all sides have the same commit, with all content, nothing is left to commit, and it stays so."""
        end = time.monotonic() + limit
        while True:
            eventually(self._is_settled, max(end - time.monotonic(), 1.0), "all sides in step")
            before = self._tips()
            calm = time.monotonic() + CALM
            while time.monotonic() < calm and self._tips() == before:
                time.sleep(0.1)
            if self._tips() == before:
                return
            assert time.monotonic() < end, f"commits go on being made: {before} {self._tips()}"

    def _tips(self) -> list[bytes]:
        return [side.git("rev-parse", "HEAD", "git-annex") for side in self.sides.values()]

    def _is_settled(self) -> bool:
        """AssertionError says what is missing."""
        for name, side in self.sides.items():
            if name != self.annexed and not (side.running and side.running.is_running()):
                raise RuntimeError(f"the daemon of {name} ended")
            self._look_for_crashes(name, side)
        if self.annexed:
            self._sync(self.annexed)
        heads = {name: side.git("rev-parse", "HEAD") for name, side in self.sides.items()}
        if len(set(heads.values())) > 1:
            time.sleep(0.3)
            raise AssertionError(f"HEADs differ: {heads}")
        for name, side in self.sides.items():
            left = side.git("--no-optional-locks", "status", "--porcelain")     # asked often, as nobody else would
            assert not left, f"git status at {name}: {left!r}"
            absent = self._absent(side)
            assert not absent, f"content is missing at {name}: {absent[:5]}"
        branches = [tip.split()[1] for tip in self._tips()]
        assert len(set(branches)) == 1, "the git-annex branches differ"
        return True

    def _absent(self, side: Side) -> list[bytes]:
        top, found = os.fsencode(side.repo), []
        for path in walk(top):
            place = top + b"/" + path
            try:
                if os.path.islink(place):
                    is_absent = b"/annex/objects/" in os.readlink(place) and not os.path.exists(place)
                else:
                    with open(place, "rb") as file:
                        is_absent = file.read(15) == b"/annex/objects/"
            except FileNotFoundError:
                is_absent = False
            if is_absent:
                found.append(path)
        return found

    def judge(self) -> None:
        """All that must hold in the end. The daemons are stopped first."""
        for side in self.sides.values():
            side.stop()
        trees = {name: self._tree(side) for name, side in self.sides.items()}
        first, reference = next(iter(trees.items()))
        for name, tree in trees.items():
            differing = sorted(path for path in tree.keys() | reference.keys() if tree.get(path) != reference.get(path))
            assert not differing, f"{name} and {first} differ: {differing[:10]}"
        for name, side in self.sides.items():
            self._judge_side(name, side)
        faults = self.chronicle.faults({path: tokens for path, (_, tokens) in reference.items()})
        shown = "\n".join([*faults[:20], f"in the end: {sorted(reference)}"])
        assert not faults, f"{len(faults)} were lost ({self.chronicle.counts()}):\n{shown}"

    def _tree(self, side: Side) -> dict[bytes, tuple[int, Tokens]]:
        """Path -> permissions or the kind of link, and what is there, of the work tree."""
        top, found = os.fsencode(side.repo), {}
        for path in walk(top):
            place = top + b"/" + path
            status = os.lstat(place)
            found[path] = (status.st_mode & 0o170100, self.chronicle.tokens_at(place))
        return found

    def _judge_side(self, name: str, side: Side) -> None:
        for left in ("MERGE_HEAD", "CHERRY_PICK_HEAD", "index.lock"):
            assert not (side.repo / ".git" / left).exists(), f"{name} was left with {left}"
        for path in walk(os.fsencode(side.repo)):
            place = side.path(path)
            if place.is_file():
                assert not MARKERS.search(place.read_bytes()), f"conflict markers in {path!r} at {name}"
        self._look_for_crashes(name, side)
        Oracle(self.env).assert_sound(side.repo, ran_git_annex=name == self.annexed)

    def _look_for_crashes(self, name: str, side: Side) -> None:
        said = side.output.read_text(errors="backslashreplace") if side.output.exists() else ""
        for crash in CRASHES:
            at = said.find(crash)
            if at >= 0:
                raise RuntimeError(f"the daemon of {name} crashed:\n{said[max(at - 500, 0) : at + 5000]}")


def _guarded(work: Callable[[], None], failures: list[BaseException]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        except BaseException as error:      # noqa: BLE001 - raised again by who started the thread
            failures.append(error)

    return run


def _tail(data: bytes) -> str:
    """The end of what a program said, after what git-annex calls errors."""
    lines = [line for line in data.splitlines() if line.startswith(b"git-annex: ") and b"restage" not in line]
    return b"\n".join([*lines, data[-300:]]).decode(errors="backslashreplace")


@contextmanager
def made(
    top: Path, env: Mapping[str, str], seed: int, topology: Topology, *, unlocked: str = "", annexed: str = ""
) -> Iterator[Ground]:
    """The ground, and after the block the end of all daemons; when it fails, everything that is needed to see why."""
    with ExitStack() as stack:
        ground = Ground(top, env, seed, topology, unlocked=unlocked, annexed=annexed)
        for side in ground.sides.values():
            stack.callback(side.close)
        log = top / "operations.log"
        try:
            yield ground
            log.write_text("\n".join(ground.chronicle.log) + "\n")
        except BaseException:
            log.write_text("\n".join(ground.chronicle.log) + "\n")
            print(f"--- replay: python -m tests.convergence.replay {log}")
            print("\n".join(ground.chronicle.log))
            raise
        finally:
            for name, side in ground.sides.items():
                print(f"--- the daemon of {name} wrote:\n{side.said()[-8000:]}")
        make_removable(top)
