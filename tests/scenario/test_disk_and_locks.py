"""A disk that is full, and locks that others hold: waited for, told, and never broken."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.interop.oracle import Oracle
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair

LARGE = bytes(range(256)) * (3 << 12)     # 3 MiB
HELD = 2.5          # seconds that a person's command holds a lock


def test_a_full_disk_at_the_other_side_is_told_and_overcome(pair: Pair, oracle: Oracle) -> None:
    a, b = pair
    b.git("config", "annex.diskreserve", "1000 terabytes")
    pair.start()
    a.write("large.bin", LARGE)
    a.write("small.txt", b"small\n")
    a.wait_for_alert("space", "large.bin")
    b.wait_for_alert("space", "large.bin")
    eventually(lambda: b.path("large.bin").exists(), SYNC_LIMIT, "a pointer, at least")
    assert not b.has("large.bin", LARGE)
    assert {b"large.bin", b"small.txt"} <= set(a.committed())
    b.git("config", "annex.diskreserve", "1 kilobyte")
    eventually(lambda: b.has("large.bin", LARGE) and b.has("small.txt", b"small\n"), 60, "both, with space now")
    eventually(lambda: "space" not in a.alerts() + b.alerts(), SYNC_LIMIT, "the alert's end")
    pair.settle()
    pair.stop()
    oracle.assert_sound(b.repo)


def test_a_full_disk_here_keeps_the_file_and_tells_its_name(pair: Pair) -> None:
    a, b = pair
    a.git("config", "annex.diskreserve", "1000 terabytes")
    pair.start()
    a.write("large.bin", LARGE)
    a.wait_for_alert("large.bin", "space")
    assert a.has("large.bin", LARGE)
    b.write("from-b.txt", b"from b\n")
    eventually(lambda: a.path("from-b.txt").exists(), SYNC_LIMIT, "a file of the other side, as a pointer at least")
    a.git("config", "annex.diskreserve", "1 kilobyte")
    eventually(lambda: b.has("large.bin", LARGE) and a.has("from-b.txt", b"from b\n"), 60, "all, with space now")


@contextmanager
def held_open(path: Path) -> Iterator[None]:
    """A lock file as git makes it."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(fd)
    try:
        yield
        assert path.exists(), f"{path.name} of a person was removed"
    finally:
        path.unlink(missing_ok=True)


def test_the_index_lock_of_a_person_is_waited_for(pair: Pair, oracle: Oracle) -> None:
    a, b = pair
    pair.start()
    pair.assert_syncs("before.txt")
    with held_open(a.repo / ".git/index.lock"):
        a.write("waits.txt", b"waits for the lock\n")
        a.path("before.txt").unlink()
        b.write("comes.txt", b"comes from b\n")
        end = time.monotonic() + HELD
        while time.monotonic() < end:
            assert not {b"waits.txt"} & set(a.committed())
            time.sleep(0.1)
        eventually(lambda: "index.lock" in a.alerts() + a.log(), SYNC_LIMIT, "a word about the lock")
    eventually(lambda: b.has("waits.txt", b"waits for the lock\n"), SYNC_LIMIT, "the file, once the lock is free")
    eventually(lambda: a.has("comes.txt", b"comes from b\n"), SYNC_LIMIT, "the other side's file")
    eventually(lambda: not b.path("before.txt").exists(), SYNC_LIMIT, "the removal")
    pair.settle()
    pair.stop()
    oracle.assert_sound(a.repo)


def test_a_start_while_a_person_holds_the_index_lock_waits_too(pair: Pair) -> None:
    a, b = pair
    a.write("early.txt", b"before the start\n")
    b.start()
    with held_open(a.repo / ".git/index.lock"):
        a.start()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            assert a.running is not None and a.running.is_running()
            time.sleep(0.1)
    eventually(lambda: b.has("early.txt", b"before the start\n"), SYNC_LIMIT)


def test_a_merge_that_a_person_has_under_way_is_left_to_them(pair: Pair) -> None:
    a, b = pair
    pair.start()
    pair.assert_syncs("before.txt")
    pair.settle()
    head = a.git("rev-parse", "HEAD")
    a.repo.joinpath(".git/MERGE_HEAD").write_bytes(head)
    a.write("waits.txt", b"waits\n")
    b.write("comes.txt", b"comes from b\n")
    end = time.monotonic() + HELD
    while time.monotonic() < end:
        assert a.git("rev-parse", "HEAD") == head
        time.sleep(0.1)
    a.repo.joinpath(".git/MERGE_HEAD").unlink()
    eventually(lambda: b.has("waits.txt", b"waits\n"), SYNC_LIMIT)
    eventually(lambda: a.has("comes.txt", b"comes from b\n"), SYNC_LIMIT)


def is_free(lock: BinaryIO) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("name", ["journal.lck", "othertmp.lck"])
def test_locks_of_a_running_git_annex_are_waited_for(pair: Pair, name: str) -> None:
    a, b = pair
    pair.start()
    pair.assert_syncs("before.txt")
    holder = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    path = a.repo / ".git/annex" / name
    with subprocess.Popen(
        ["python3", "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        a.write("waits.txt", b"waits for the lock\n")
        time.sleep(1.0)
        assert a.running is not None and a.running.is_running()
        process.communicate()
    eventually(lambda: b.has("waits.txt", b"waits for the lock\n"), SYNC_LIMIT)
    with path.open("r+b") as file:
        eventually(lambda: is_free(file), SYNC_LIMIT, "the lock to be free again")
