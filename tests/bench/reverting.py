"""REVERT: very many files arrive, all of them are removed at once, and a person's `git revert` brings them back."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.bench.measure import Result, cpu_seconds, pss_bytes, wait_until
from tests.bench.workloads import SMALL_SIZE, make_files, verify
from tests.support import environment
from tests.support.pair import Pair, make_pair
from tests.support.persons import Person

SAMPLE = 0.25       # seconds between two looks


def revert(top: Path, count: int, seconds: float = 300.0) -> list[Result]:
    """Each step until both sides are equal and complete; CPU of both daemons, and the most memory of one of them."""
    top.mkdir(parents=True, exist_ok=True)
    env = environment.isolated(top / "home")
    with make_pair(top, env) as pair:
        pair.start()
        bench = _Bench(pair, count, seconds)
        return [
            bench.step("they arrive", bench.arrive),
            bench.step("rm -rf of them all", bench.remove),
            bench.step("git revert", bench.bring_back),
        ]


class _Bench:
    def __init__(self, pair: Pair, count: int, seconds: float) -> None:
        self._pair = pair
        self._seconds = seconds
        self._count = count
        self._names: list[str] = []
        self._person = Person(pair.a)
        pair.assert_syncs("one that stays")
        pair.settle()

    def step(self, name: str, action: Callable[[], str]) -> Result:
        pids = [side.running.pid for side in self._pair if side.running is not None]
        before, most = cpu_seconds(pids), [0.0]
        result = Result(f"REVERT {self._count}", f"annexd: {name}")
        started = time.monotonic()
        result.note = action()

        def is_done() -> bool:
            most.append(max(pss_bytes([pid]) for pid in pids))
            return self._is_complete(there=name != "rm -rf of them all")

        wait_until(_paced(is_done), self._seconds, f"{name} of {self._count}")
        result.seconds.append(time.monotonic() - started)
        result.cpu = cpu_seconds(pids) - before
        result.pss_mib = max(most) / 2**20
        wait_until(_paced(self._is_settled), self._seconds, f"{name} of {self._count}: git's index")
        self._pair.settle(self._seconds)
        if name != "rm -rf of them all":
            for side in self._pair:
                verify(self._pair.a.repo.with_name("kept"), side.repo, self._names)
        return result

    def arrive(self) -> str:
        self._names = make_files(self._pair.a.repo, self._count, "many")
        shutil.copytree(self._pair.a.repo, self._pair.a.repo.with_name("kept"), ignore=lambda *_: [".git"])
        return ""

    def remove(self) -> str:
        self._base = self._person("rev-parse", "HEAD").strip()
        for directory in {os.path.dirname(name) for name in self._names}:
            shutil.rmtree(self._pair.a.repo / directory)
        return ""

    def bring_back(self) -> str:
        started = time.monotonic()
        self._person("revert", "--no-edit", f"{self._base}..HEAD")
        return f"of it {time.monotonic() - started:.1f} s in git and its filter"

    def _is_complete(self, *, there: bool) -> bool:
        for side in (self._pair.b, self._pair.a):
            if not _has_all(side.repo, self._names, there=there):
                return False
        heads = {side.git("rev-parse", "HEAD") for side in self._pair}
        return len(heads) == 1 and self._is_committed(there=there)

    def _is_settled(self) -> bool:
        """Whether `git status` need not read the files: the index is younger than they are."""
        for side in self._pair:
            index = int((side.repo / ".git/index").stat().st_mtime)
            for name in self._names[:: len(self._names) // 50 or 1]:
                with suppress(OSError):
                    if int((side.repo / name).stat().st_mtime) >= index:
                        return False
        return True

    def _is_committed(self, *, there: bool) -> bool:
        """By HEAD's tree: `git status` would read all files that are younger than the index."""
        prefix = os.path.dirname(self._names[0]).encode()[:4]
        found = sum(path.startswith(prefix) for path in self._pair.a.committed())
        return found == (len(self._names) if there else 0)


def _has_all(repo: Path, names: list[str], *, there: bool) -> bool:
    """Whether all are there with their content, or none. Asked for the last first."""
    for name in reversed(names):
        try:
            size = os.stat(repo / name).st_size
        except OSError:
            size = -1
        if (size == SMALL_SIZE) is not there:
            return False
    return True


def _paced(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Looking costs the daemons time: do it four times a second."""
    due = [0.0]

    def ask() -> bool:
        now = time.monotonic()
        if now < due[0]:
            return False
        done = condition()
        due[0] = time.monotonic() + SAMPLE
        return done

    return ask
