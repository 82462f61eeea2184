"""The processes that write files of a work tree, and the sharing out of the work among them."""

from __future__ import annotations

import marshal
import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise

from annexd.annex.checkout_items import Item, Result, Site
from annexd.annex.checkout_worker import FAILED, HEAD_BYTES, IDLE_SECONDS, LOST, frame, write_items
from annexd.errors import ProcessError
from annexd.system.processes import CoProcess

CHUNK = 128
"""Items that a worker gets at a time. The answer to them fits into a pipe, so that nobody waits for being read."""

UNDER_WAY = 2       # chunks that a worker has at most, so that it need not wait for us
CHUNK_BYTES = 1 << 20
_READ_BYTES = 1 << 16

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from annexd.annex.checkout_worker import main; main({})"

MOST_BY_DEFAULT = 8     # beyond which a file system has no more to give

MakeItem = Callable[[int], Item]
OnResult = Callable[[int, Result], None]
"""Told the number of an item and what became of it, in the order in which that is known."""


def worker_count(configured: int | None) -> int:
    """How many workers checkout.workers asks for: one for each processor when it is zero or less, and by default."""
    if configured is not None and configured > 0:
        return configured
    processors = len(os.sched_getaffinity(0))
    return processors if configured is not None else min(processors, MOST_BY_DEFAULT)


class CheckoutWorkers:
    """At most `count` processes that write files. They start with the first work, and end when none comes for a while.

    Owned by one thread. With a count of one there are no processes: the caller's own one does the work.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._workers: list[_Worker] = []

    def prepare(self) -> None:
        """Start what is not up yet, so that it is by the time that work comes."""
        if self.count < 2 or not sys.executable:
            return
        for worker in self._workers:
            if not worker.is_running():
                worker.close()
        self._workers = [worker for worker in self._workers if worker.is_running()]
        while len(self._workers) < self.count:
            self._workers.append(_Worker())

    def is_running(self) -> bool:
        """Whether all of them are up, so that nothing is lost by using them."""
        return len(self._workers) >= self.count and all(worker.is_running() for worker in self._workers)

    def write(self, site: Site, count: int, item: MakeItem, on_result: OnResult) -> None:
        """Write `count` items, up to the first that fails: then those after it may be left out.

        An item whose worker died is LOST: nobody knows what became of it. When none can be started, all is done here.
        """
        self.prepare()
        work = _Work(count, item, max(len(self._workers), 1))
        for number, worker in enumerate(self._workers):
            worker.begin(site, work, number)
        try:
            self._serve(on_result)
        except BaseException:
            work.stop()
            self._drain(on_result)
            raise
        for number in range(max(len(self._workers), 1)):
            while chunk := work.next_chunk(number):
                _tell(chunk, write_items(site, work.items(chunk)), on_result, work)

    def close(self) -> None:
        """End them. They start again when there is work."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()

    def _drain(self, on_result: OnResult) -> None:
        """What was begun is written all the same, so whoever undoes it has to know."""
        try:
            for worker in self._workers:
                worker.digest(on_result)
            self._serve(on_result)
        finally:
            self.close()

    def _serve(self, on_result: OnResult) -> None:
        """Until no worker has anything under way."""
        poll = select.poll()
        busy: dict[int, _Worker] = {}
        for worker in self._workers:
            if worker.send(on_result):
                busy[worker.fileno()] = worker
                poll.register(worker.fileno(), select.POLLIN)
        while busy:
            for fd, _ in poll.poll():
                if not busy[fd].receive(on_result):
                    del busy[fd]
                    poll.unregister(fd)


class _Work:
    """The numbers of the items that are still to be done. Each worker has a stretch of its own, so that two of them
    rarely work in one directory; who is done with it takes from the end of the longest one.
    """

    def __init__(self, count: int, item: MakeItem, workers: int) -> None:
        self._item = item
        bounds = [count * n // workers for n in range(workers + 1)]
        self._stretches = [range(a, b) for a, b in pairwise(bounds)]
        self._made: dict[int, Item] = {}

    def next_chunk(self, worker: int) -> range:
        """Neighbours to be done next, an empty range when there is no more work."""
        mine = self._stretches[worker]
        if not mine:
            longest = max(range(len(self._stretches)), key=lambda n: len(self._stretches[n]))
            other = self._stretches[longest]
            half = other.start + len(other) // 2
            self._stretches[longest], mine = range(other.start, half), range(half, other.stop)
        end, size = mine.start, 0
        while end < mine.stop and end - mine.start < CHUNK and size < CHUNK_BYTES:
            item = self._made[end] = self._item(end)
            size += len(item.data) + (item.size if item.size > 0 else 0)
            end += 1
        self._stretches[worker] = range(end, mine.stop)
        return range(mine.start, end)

    def items(self, chunk: range) -> list[Item]:
        """The items of a chunk that was just given out."""
        return [self._made.pop(number) for number in chunk]

    def stop(self) -> None:
        """Give out no more."""
        self._stretches = [range(0)] * len(self._stretches)


class _Worker:
    """One process, and what it has been given."""

    def __init__(self) -> None:
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self._process = CoProcess((sys.executable, "-I", "-S", "-c", _BOOT.format(os.getpid()), root))
        self._under_way: list[range] = []
        self._buffer = b""
        self._site: Site | None = None
        self._work: _Work | None = None
        self._number = 0
        self._used = time.monotonic()
        with suppress(ProcessError):        # then it is not running, and gets no work
            _ = self._process.stdin

    def is_running(self) -> bool:
        """Whether it is up, and not about to end."""
        return self._process.is_running() and time.monotonic() - self._used < IDLE_SECONDS / 2

    def fileno(self) -> int:
        return self._process.stdout.fileno()

    def pid(self) -> int | None:
        return self._process.pid()

    def begin(self, site: Site, work: _Work, number: int) -> None:
        self._site, self._work, self._number = site, work, number
        self._used = time.monotonic()

    def send(self, on_result: OnResult) -> bool:
        """Hand over what it can take; False when it has nothing under way then."""
        assert self._work is not None
        try:
            while len(self._under_way) < UNDER_WAY and (chunk := self._work.next_chunk(self._number)):
                self._under_way.append(chunk)
                items = [tuple(item) for item in self._work.items(chunk)]
                self._process.stdin.write(frame((tuple(self._site or ()), items)))
                self._process.stdin.flush()
        except (OSError, ProcessError):
            self._lose(on_result)
        return bool(self._under_way)

    def receive(self, on_result: OnResult) -> bool:
        """Take an answer, and hand over more; False when there is nothing under way any more."""
        piece = os.read(self.fileno(), _READ_BYTES)
        if not piece:
            self._lose(on_result)
            return False
        self._buffer += piece
        return self.digest(on_result)

    def digest(self, on_result: OnResult) -> bool:
        """Deal with the answers that have come whole; False when there is nothing under way any more."""
        assert self._work is not None
        while len(self._buffer) >= HEAD_BYTES:
            end = HEAD_BYTES + int.from_bytes(self._buffer[:HEAD_BYTES], "little")
            if len(self._buffer) < end:
                break
            results = marshal.loads(self._buffer[HEAD_BYTES:end])
            self._used = time.monotonic()
            self._buffer = self._buffer[end:]
            _tell(self._under_way.pop(0), results, on_result, self._work)
            self.send(on_result)
        return bool(self._under_way)

    def close(self) -> None:
        self._under_way = []
        self._buffer = b""
        self._process.close()

    def _lose(self, on_result: OnResult) -> None:
        lost, self._under_way = self._under_way, []
        self.close()
        for chunk in lost:
            for number in chunk:
                on_result(number, (LOST, None))


def _tell(chunk: range, results: Sequence[Result], on_result: OnResult, work: _Work) -> None:
    """Pass on what became of a chunk, all of it even if we are interrupted; after a failure nothing more is begun."""
    problem: BaseException | None = None
    for number, result in zip(chunk, results, strict=False):
        if result[0] == FAILED:
            work.stop()
        try:
            on_result(number, result)
        except BaseException as raised:     # noqa: BLE001  # raised again below
            problem = problem or raised
    if problem is not None:
        raise problem
