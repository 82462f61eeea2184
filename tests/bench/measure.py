"""CPU seconds and memory of process trees, and waiting for files with a deadline."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

_TICKS = os.sysconf("SC_CLK_TCK")
POLL_SECONDS = 0.001


class BenchTimeout(Exception):
    """A workload was not finished within its deadline."""


def children(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    tree: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                fields = stat.read().rsplit(b")", 1)[1].split()
        except OSError:
            continue
        tree.setdefault(int(fields[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(tree.get(one, []))
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time used so far by process trees, children that ended included."""
    total = 0
    for root in pids:
        for pid in children(root):
            try:
                with open(f"/proc/{pid}/stat", "rb") as stat:
                    fields = stat.read().rsplit(b")", 1)[1].split()
            except OSError:
                continue
            total += sum(int(value) for value in fields[11:15])
    return total / _TICKS


def pss_bytes(pids: Iterable[int]) -> int:
    """Proportional set size of process trees: shared pages are divided among their users."""
    total = 0
    for root in pids:
        for pid in children(root):
            try:
                with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
                    for line in rollup:
                        if line.startswith(b"Pss:"):
                            total += int(line.split()[1]) * 1024
                            break
            except OSError:
                continue
    return total


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll `condition` each millisecond; BenchTimeout names `what` when the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BenchTimeout(f"{what}: not done in {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def wait_for_sizes(paths: Sequence[str], size: int, seconds: float, what: str) -> None:
    """Wait until every path is a file of `size` bytes (a pointer in its place is shorter)."""
    done = 0

    def all_there() -> bool:
        nonlocal done
        while done < len(paths):
            try:
                if os.stat(paths[done]).st_size != size:
                    return False
            except OSError:
                return False
            done += 1
        return True

    try:
        wait_until(all_there, seconds, what)
    except BenchTimeout as e:
        raise BenchTimeout(f"{e}; {done} of {len(paths)} were there") from None


def read_or_none(path: str) -> bytes | None:
    """Content of a file, or None while it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


@dataclass
class Result:
    """Figures of one workload for one contestant; seconds unless the name says otherwise."""

    workload: str
    who: str
    seconds: list[float] = field(default_factory=list)
    cpu: float | None = None
    pss_mib: float | None = None
    note: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None

    def percentile(self, share: float) -> float | None:
        if not self.seconds:
            return None
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
