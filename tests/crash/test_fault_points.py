"""A daemon that dies between two steps of its work is started again, and everything is as if it had not died."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash import ground
from tests.crash.conftest import Judge
from tests.crash.load import LARGE, Person
from tests.support.eventually import eventually
from tests.support.pair import Pair, Side

DEATH_LIMIT = 30.0
BURST = 20      # files
PACK = 110      # new files that go into git as one pack

slow = pytest.mark.slow

# Where a daemon dies that gets new files of a person.
SENDING = (
    pytest.param("object-placed", marks=slow),          # content has its name, git does not know of it
    "object-placed:7",
    "branch-before-ref",        # objects of the git-annex branch are written
    "branch-after-ref",         # ... the journal still has what the branch has now
    "commit-before-ref",        # the note of the commit is written
    "commit-before-index",      # HEAD has it, the index does not
    pytest.param("commit-after-index", marks=slow),
    pytest.param("index-lock-made", marks=slow),        # and nothing was done with it
    pytest.param("index-before-rename", marks=slow),
    "index-before-unlock",
    "push-before-refs",         # the other side has the objects
    pytest.param("push-after-refs", marks=slow),        # ... and does not need us any more
    "upload-small",
    "transfer-half",
    pytest.param("upload-before-placed", marks=slow),
)
# Where a daemon dies that gets files from the other side.
RECEIVING = (
    pytest.param("checkout-half", marks=slow),
    "checkout-half:9",
    "checkout-before-ref",
    "checkout-before-index",
)


def write_much(side: Side, person: Person) -> None:
    """A burst, a large file, and after they are seen changes of both."""
    for number in range(BURST):
        person.put(f"{person.name}/burst/{number}.dat", b"%d: " % number + b"x" * 3000)
    person.put(f"{person.name}/large.bin", bytes(range(256)) * (LARGE // 256))
    person.work(12)


def restart_after_death(side: Side) -> None:
    """Wait until the daemon has died at its fault point; then it runs again, without one."""
    daemon = side.running
    assert daemon is not None
    eventually(lambda: not daemon.is_running(), DEATH_LIMIT, "the daemon's death at its fault point")
    assert daemon.process.returncode == -9


@pytest.mark.parametrize("point", SENDING)
def test_dying_while_files_are_taken_in_and_sent_loses_nothing(
    pair: Pair, people: Callable[[int], tuple[Person, Person]], judge: Judge, point: str
) -> None:
    alice, bob = people(1)
    pair.b.start()
    pair.a.spawn(ANNEXD_FAULT=point)
    write_much(pair.a, alice)
    restart_after_death(pair.a)
    ground.assert_nothing_named_is_absent(pair)
    alice.work(3)
    bob.work(3)
    pair.a.start()
    judge(alice, bob)


@pytest.mark.parametrize("point", RECEIVING)
def test_dying_while_files_are_checked_out_loses_nothing(
    pair: Pair, people: Callable[[int], tuple[Person, Person]], judge: Judge, point: str
) -> None:
    alice, bob = people(2)
    pair.b.spawn(ANNEXD_FAULT=point)
    pair.a.start()
    write_much(pair.a, alice)
    restart_after_death(pair.b)
    ground.assert_nothing_named_is_absent(pair)
    alice.work(3)
    bob.work(3)
    pair.b.start()
    judge(alice, bob)


def test_dying_between_a_pack_and_its_index_loses_nothing(
    pair: Pair, people: Callable[[int], tuple[Person, Person]], judge: Judge
) -> None:
    alice, bob = people(4)
    for number in range(PACK):
        alice.put(f"alice/{number}.txt", b"%d\n" % number)
    pair.b.start()
    pair.a.spawn(ANNEXD_FAULT="pack-before-index")
    restart_after_death(pair.a)
    pair.a.start()
    judge(alice, bob)


def test_dying_while_content_takes_the_place_of_pointers_loses_nothing(
    pair: Pair, people: Callable[[int], tuple[Person, Person]], judge: Judge
) -> None:
    alice, bob = people(5)
    pair.a.git("config", "remote.b.annex-ignore", "true")       # so that the other side has to get it itself
    pair.b.spawn(ANNEXD_FAULT="populate-half:3")
    pair.a.start()
    write_much(pair.a, alice)
    restart_after_death(pair.b)
    alice.work(3)
    pair.b.start()
    judge(alice, bob)
