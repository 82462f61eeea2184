"""The transfer scan and the deferred downloads at scale, without anything being transferred.

SCAN: a repository with very many keys, and a remote that lacks fifty of them, until those are queued. DEFERRED: very
many downloads without a source, what memory they take, and what a branch that tells nothing of them costs.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.assistant.changes import Scan, ScanRequest
from annexd.formats.branch_paths import key_of_location_log, location_log
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.transfer.deferred import DeferredDownloads
from annexd.transfer.deferred_store import DeferredStore
from annexd.transfer.job import Direction, Job, Reason
from tests.bench.measure import Result
from tests.support.eventually import eventually
from tests.support.many_keys import commit_keys, make_key, path_of, tell_locations
from tests.support.repositories import git
from tests.support.scanning import Running, World

LACKING = 50
LIMIT = 300.0
BATCH = 500


def scan(top: Path, count: int) -> list[Result]:
    """`count` keys whose content is here; a remote that was never seen, and one that is back, lack fifty of them."""
    top.mkdir(parents=True, exist_ok=True)
    world = World(top)
    try:
        keys = _fill(world, count)
        first = world.add_remote("first")
        world.tell(keys[LACKING:], first)
        return [_floor(top / "here", count), *_timed(world, keys, first)]
    finally:
        world.close()


def deferred(top: Path, count: int) -> list[Result]:
    """`count` deferred downloads; then logs of other keys, and of some of them, change."""
    top.mkdir(parents=True, exist_ok=True)
    world = World(top)
    try:
        source = world.add_remote("source")
        others = world.add_files(100, present=False)
        filled = _defer_in_a_process(world, count)
        life = world.run()
        assert len(life.parts.deferred) >= count
        pushes = [_unrelated_push(world, life, source, others, n) for n in range(10)]
        push = Result(f"DEFERRED {count}", "annexd: a push about 10 other keys", pushes)
        found = [_seconds(lambda n=n: _news(life, world, source, n)) for n in range(5)]     # type: ignore[misc]
        return [filled, push, Result(f"DEFERRED {count}", "annexd: a push about 10 of them", found)]
    finally:
        world.close()


def _fill(world: World, count: int) -> list[Key]:
    keys = [make_key(n) for n in range(count)]
    commit_keys(world.here, {path_of(n): key for n, key in enumerate(keys)})
    tell_locations(world.here, keys, [world.here.uuid], lacking=frozenset())
    for key in keys:
        world.here.store.put_bytes(b"", key)    # nobody looks into it
    return keys


def _timed(world: World, keys: Sequence[Key], first: UUID) -> list[Result]:
    name = f"SCAN {len(keys)}"
    started = time.monotonic()
    life = world.run(wait=False)
    results = [Result(name, "annexd: the first scan of all", [_until_queued(life, first, started)])]
    life.wait()
    _finish(life)
    again = world.add_remote("again")
    world.tell(keys[:-LACKING], again)
    results.append(Result(name, "annexd: a new remote", [_ask(life, again)]))
    _finish(life)
    back = []
    for n in range(1, 6):
        world.tell(keys[n * LACKING : (n + 1) * LACKING], again, Presence.MISSING)
        back.append(_ask(life, again))
        _finish(life)
    results.append(Result(name, "annexd: a remote that is back", back))
    return results


def _ask(life: Running, remote: UUID) -> float:
    """Seconds until what the remote lacks is queued; when this returns the scan is over."""
    rounds = life.scanner.rounds.get()
    started = time.monotonic()
    life.wishes.put(ScanRequest(remote, Scan.CHANGED))
    took = _until_queued(life, remote, started)
    life.wait(rounds)
    return took


def _until_queued(life: Running, remote: UUID, started: float) -> float:
    eventually(lambda: life.parts.queue.waiting_for().get(remote, 0) == LACKING, LIMIT, "the uploads")
    return time.monotonic() - started


def _finish(life: Running) -> None:
    life.finish_all()
    life.wait_until_noted()


def _floor(repo: Path, count: int) -> Result:
    """git itself reads all pointers and all location logs."""
    result = Result(f"SCAN {count}", "floor: git reads pointers and logs")
    read = "git ls-tree -r {0} | cut -c13-52 | git cat-file --batch --buffer >/dev/null"
    started = time.monotonic()
    for ref in ("HEAD", "git-annex"):
        subprocess.run(read.format(ref), shell=True, cwd=repo, check=True)
    result.seconds.append(time.monotonic() - started)
    return result


def _defer_in_a_process(world: World, count: int) -> Result:
    """In a process of its own, whose memory holds nothing else."""
    path = os.fsdecode(world.here.layout.annexd_dir) + "/deferred.db"
    command = [sys.executable, "-m", "tests.bench.scanning", path, str(count)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]).stdout
    seconds, mib = (float(word) for word in said.split())
    return Result(f"DEFERRED {count}", "annexd: all deferred", [seconds], pss_mib=mib, note="MiB more than without")


def _defer(path: bytes, count: int) -> None:
    """Print seconds and MiB that deferring takes."""
    waiting: list[None] = []
    store = DeferredDownloads(DeferredStore.open(path), on_full=lambda: waiting.append(None))
    before = _resident()
    started = time.monotonic()
    most = 0
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        jobs = [Job(Direction.DOWNLOAD, make_key(n, "none"), (), path_of(n), Reason.SCAN) for n in numbers]
        store.defer_many(jobs, store.news_count())
        if waiting:
            most = max(most, _resident())
            waiting.clear()
            store.flush()
    store.flush()
    print(time.monotonic() - started, (max(most, _resident()) - before) / 2**20)
    store.close()


def _unrelated_push(world: World, life: Running, source: UUID, others: Sequence[Key], number: int) -> float:
    """A sibling of the git-annex branch arrives that tells of other keys; seconds for merging it and acting on it."""
    keys = others[number * 10 : (number + 1) * 10]
    _write_sibling(world, keys, source)
    with world.here.fork() as state:
        state.locations.locations(keys[0])      # as in a daemon, whose helper processes run already
        return _seconds(lambda: _take_news(life, state))


def _write_sibling(world: World, keys: Sequence[Key], source: UUID) -> None:
    here = world.here
    tip = here.branch.tip()
    here.branch.change_many({location_log(key): lambda _: b"1700000000s 1 %b\n" % source for key in keys})
    new = here.branch.tip()
    assert tip is not None and new is not None
    repo = Path(os.fsdecode(here.repo.top))
    git(repo, "update-ref", "refs/remotes/source/git-annex", new.hex())
    git(repo, "update-ref", "refs/heads/git-annex", tip.hex())


def _take_news(life: Running, state: AnnexState) -> None:
    update = state.branch.merge_siblings()
    assert update.moved
    paths = state.branch.changed_between(update.old, update.new)
    life.parts.requests.news(state, [key for path in paths if (key := key_of_location_log(path)) is not None])


def _news(life: Running, world: World, source: UUID, number: int) -> None:
    keys = [make_key(number * 1000 + n, "none") for n in range(10)]
    world.tell(keys, source)
    queued = len(life.parts.queue)
    life.parts.requests.news(world.here, keys)
    assert len(life.parts.queue) == queued + 10


def _seconds(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def _resident() -> int:
    """Bytes of memory that this process has."""
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    _defer(os.fsencode(sys.argv[1]), int(sys.argv[2]))
