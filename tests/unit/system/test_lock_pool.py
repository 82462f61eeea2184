"""Record locks, against other processes and our own threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from annexd.errors import LockTimeout
from annexd.system.lock_pool import Hold, LockPool, OnRelease
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from tests.support.eventually import eventually

HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(fd, fcntl.LOCK_EX if sys.argv[2] == "exclusive" else fcntl.LOCK_SH)
print("locked", flush=True)
sys.stdin.read()
"""
TRIER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
try:
    fcntl.lockf(fd, (fcntl.LOCK_EX if sys.argv[2] == "exclusive" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
except OSError:
    sys.exit(1)
"""


@contextmanager
def held_by_another_process(path: bytes, kind: str = "exclusive") -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDER, path, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    try:
        yield process
    finally:
        process.communicate(b"")


def another_process_can_lock(path: bytes, kind: str = "exclusive") -> bool:
    return subprocess.run([sys.executable, "-S", "-c", TRIER, path, kind]).returncode == 0


@pytest.fixture
def lock(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path / "the.lck")


def test_an_exclusive_lock_keeps_other_processes_out(lock: bytes) -> None:
    with LockPool().exclusive(lock):
        assert not another_process_can_lock(lock)
    assert another_process_can_lock(lock)


def test_a_shared_lock_lets_other_processes_share(lock: bytes) -> None:
    with LockPool().shared(lock):
        assert another_process_can_lock(lock, "shared")
        assert not another_process_can_lock(lock)


def test_a_lock_of_another_process_is_respected_and_its_holder_known(lock: bytes) -> None:
    pool = LockPool()
    with held_by_another_process(lock) as other:
        assert pool.try_exclusive(lock) is None
        assert pool.try_shared(lock) is None
        assert pool.holder_pid(lock) == other.pid
        with pytest.raises(LockTimeout, match=str(other.pid)):
            pool.exclusive(lock, Deadline(0.02))
    assert pool.holder_pid(lock) is None


def test_waiting_ends_when_the_other_process_lets_go(lock: bytes) -> None:
    pool, holds = LockPool(), list[Hold]()
    with held_by_another_process(lock):
        thread = NamedThread("wait", lambda: holds.append(pool.exclusive(lock, Deadline(10))))
        thread.start()
        assert not holds
    assert thread.join(Deadline(10))
    assert not another_process_can_lock(lock)
    holds[0].release()


def test_our_own_threads_are_kept_apart(lock: bytes) -> None:
    pool, inside, most = LockPool(), [0], [0]

    def work() -> None:
        for _ in range(50):
            with pool.exclusive(lock, Deadline(20)):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [NamedThread(f"t{n}", work) for n in range(4)]
    for thread in threads:
        thread.start()
    assert all(thread.join(Deadline(20)) for thread in threads)
    assert most == [1]


def test_two_sharers_of_one_process_hold_the_lock_until_the_last_lets_go(lock: bytes) -> None:
    pool = LockPool()
    first, second = pool.shared(lock), pool.shared(lock)
    assert pool.try_exclusive(lock) is None
    first.release()
    first.release()
    assert not another_process_can_lock(lock)
    second.release()
    assert another_process_can_lock(lock)


def test_asking_who_holds_a_lock_does_not_lose_it(lock: bytes) -> None:
    pool = LockPool()
    with pool.exclusive(lock):
        assert pool.holder_pid(lock) == os.getpid()
        assert not another_process_can_lock(lock)


def test_another_name_of_the_file_leads_to_the_same_lock(lock: bytes) -> None:
    pool = LockPool()
    alias = lock + b".alias"
    with pool.exclusive(lock):
        os.link(lock, alias)
        assert pool.try_exclusive(alias) is None
        assert not another_process_can_lock(lock), "trying the other name lost the lock"


def test_a_descriptor_given_to_the_pool_is_closed_only_after_the_lock(lock: bytes) -> None:
    pool = LockPool()
    with pool.exclusive(lock):
        fd = os.open(lock, os.O_RDONLY)
        pool.close(fd)
        assert not another_process_can_lock(lock)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    free = os.open(lock, os.O_RDONLY)
    pool.close(free)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(free)


def test_a_lock_file_is_removed_on_release_if_asked_to(lock: bytes) -> None:
    pool = LockPool()
    with pool.exclusive(lock, on_release=OnRelease.UNLINK):
        assert os.path.exists(lock)
    assert not os.path.exists(lock)
    with pool.shared(lock, on_release=OnRelease.UNLINK):
        assert os.path.exists(lock)
    assert not os.path.exists(lock)


def test_a_lock_file_that_others_share_is_not_removed(lock: bytes) -> None:
    pool = LockPool()
    hold = pool.shared(lock, on_release=OnRelease.UNLINK)
    with held_by_another_process(lock, "shared"):
        hold.release()
        assert os.path.exists(lock)


def test_a_file_that_took_the_place_of_the_locked_one_is_not_removed(lock: bytes) -> None:
    pool = LockPool()
    hold = pool.exclusive(lock, on_release=OnRelease.UNLINK)
    os.rename(lock, lock + b".old")
    Path(os.fsdecode(lock)).write_text("new")
    hold.release()
    assert Path(os.fsdecode(lock)).read_text() == "new"


def test_a_lock_file_replaced_while_held_is_a_new_lock(lock: bytes) -> None:
    pool = LockPool()
    with pool.exclusive(lock):
        os.unlink(lock)
        second = pool.try_exclusive(lock)
        assert second is not None
        second.release()


def test_the_content_is_reached_through_the_hold(lock: bytes) -> None:
    hold = LockPool().exclusive(lock)
    os.pwrite(hold.fd, b"123", 0)
    assert not another_process_can_lock(lock)
    hold.release()
    assert Path(os.fsdecode(lock)).read_bytes() == b"123"
    with pytest.raises(ValueError, match="released"):
        _ = hold.fd


def test_without_a_mode_a_missing_file_is_not_made(lock: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        LockPool().try_shared(lock, mode=None)
    assert not os.path.exists(lock)


def test_descriptors_do_not_leak(lock: bytes) -> None:
    pool = LockPool()
    before = len(os.listdir("/proc/self/fd"))
    with held_by_another_process(lock):
        for _ in range(20):
            assert pool.try_exclusive(lock) is None
    for _ in range(20):
        pool.exclusive(lock, on_release=OnRelease.UNLINK).release()
    eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


class LockPoolAgainstModel(RuleBasedStateMachine):
    """Any order of taking and releasing gives the locks that readers and writers expect."""

    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.pool = LockPool()
        self.dir = Path(os.environ["HOME"]) / f"locks-{os.getpid()}-{id(self)}"
        self.dir.mkdir(exist_ok=True)
        self.model: dict[int, tuple[int, str]] = {}

    def path(self, number: int) -> bytes:
        return os.fsencode(self.dir / str(number))

    @rule(target=holds, number=st.integers(0, 2), kind=st.sampled_from(["shared", "exclusive"]))
    def take(self, number: int, kind: str) -> object:
        others = [k for n, k in self.model.values() if n == number]
        possible = not others or (kind == "shared" and set(others) == {"shared"})
        attempt = self.pool.try_shared if kind == "shared" else self.pool.try_exclusive
        hold = attempt(self.path(number))
        assert (hold is not None) == possible
        if hold is None:
            return multiple()
        self.model[id(hold)] = (number, kind)
        return hold

    @rule(hold=holds)
    def release(self, hold: Hold) -> None:
        hold.release()
        self.model.pop(id(hold), None)

    @invariant()
    def one_descriptor_for_each_locked_file(self) -> None:
        mine = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if self.is_open(fd)]
        locked = {os.fsdecode(self.path(number)) for number, _ in self.model.values()}
        assert sorted(name for name in mine if name.startswith(str(self.dir) + "/")) == sorted(locked)

    @staticmethod
    def is_open(fd: str) -> bool:
        return os.path.lexists(f"/proc/self/fd/{fd}")

    def teardown(self) -> None:
        for entry in list(self.pool._entries.values()):
            os.close(entry.fd)


TestLockPoolAgainstModel = LockPoolAgainstModel.TestCase
TestLockPoolAgainstModel.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
