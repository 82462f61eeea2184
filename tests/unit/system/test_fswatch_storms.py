"""Many changes at once: no file is lost, and every directory keeps its right name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from annexd.threads.deadline import Deadline
from tests.support.eventually import eventually
from tests.support.watching import K, Told, write


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    (tmp_path / "root").mkdir()
    told = Told(tmp_path / "root")
    yield told
    told.watcher.stop()


BURST = """
import os, sys
root = os.fsencode(sys.argv[1])
for number in range(10_000):
    fd = os.open(root + b"/%d/%d/f%d" % (number % 40, number % 2000, number), os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"x")
    os.close(fd)
"""


def test_no_file_of_a_burst_over_two_thousand_directories_is_lost(told: Told) -> None:
    for number in range(2000):
        os.makedirs(told.path(b"%d/%d" % (number % 40, number)))
    told.watcher.start()
    assert told.watcher.watch_count() == 2041
    child = subprocess.Popen([sys.executable, "-S", "-c", BURST, told.root])
    before = time.process_time()
    assert child.wait() == 0
    expected = {b"%d/%d/f%d" % (n % 40, n % 2000, n) for n in range(10_000)}
    eventually(lambda: len(told.events) >= 10_000)
    eventually(lambda: expected <= set(told.of(K.CLOSED)), Deadline(20))
    assert told.overflows == 0
    assert time.process_time() - before < 2.0, "it costs 0.1 s on an idle machine"


def test_no_file_of_a_copied_tree_is_lost(told: Told, tmp_path: Path) -> None:
    source = tmp_path / "source"
    expected = set()
    for number in range(200):
        directory = source / str(number % 20) / str(number)
        directory.mkdir(parents=True)
        for name in "abc":
            (directory / name).write_text(name)
            expected.add(b"copy/%d/%d/%s" % (number % 20, number, name.encode()))
    told.watcher.start()
    subprocess.run(["cp", "-r", source, told.path(b"copy")], check=True)
    eventually(lambda: expected <= set(told.of(K.CLOSED) + told.of(K.APPEARED)), Deadline(20))


def shuffle_tree(told: Told, random: Random, steps: int) -> None:
    """Make, move and remove directories and files as fast as it goes."""
    for _ in range(steps):
        places = directories(told.root)
        place, name = random.choice(places), random.choice([b"p", b"q", b"r"])
        target = os.path.join(place, name)
        try:
            match random.randrange(5):
                case 0 | 1:
                    os.mkdir(target)
                case 2:
                    write(target + b".f")
                case 3:
                    os.rename(random.choice(places[1:] or [target]), target)
                case 4:
                    shutil.rmtree(target)
        except OSError:
            continue        # a move into itself, onto something, of something that is not there


def directories(root: bytes) -> list[bytes]:
    return [directory for directory, _, _ in os.walk(root)]


@pytest.mark.parametrize("seed", range(8))
def test_after_any_changes_every_directory_is_watched_under_its_right_name(told: Told, seed: int) -> None:
    told.watcher.start()
    shuffle_tree(told, Random(seed), 300)
    told.settle()
    expected = set()
    for directory in directories(told.root):
        write(os.path.join(directory, b"last"))
        expected.add(os.path.relpath(os.path.join(directory, b"last"), told.root))
    eventually(lambda: expected <= set(told.of(K.CLOSED)), what=f"{sorted(expected)[:20]}")
    assert told.watcher.watch_count() == len(directories(told.root))
    assert told.overflows == 0
