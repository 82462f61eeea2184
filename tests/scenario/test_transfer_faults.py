"""What goes wrong with a transfer ends well by itself once it can, and until then it is seen and tried again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annexd.annex.location_log import Presence
from annexd.assistant.control import send
from annexd.formats.key import Key
from annexd.threads.deadline import Deadline
from tests.scenario.test_content_flows import (
    LIMIT,
    Make,
    all_there,
    clone,
    commit_known_files,
    connect,
    control,
    is_pointer,
    make,
    state_of,
)
from tests.support.disks import Disk, disk
from tests.support.eventually import eventually
from tests.support.pair import Side

__all__ = ["make"]

RETRY_LIMIT = 120.0     # tries are a minute apart at most, and machines that test are busy
MIB = 1 << 20


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Disk]:
    """A small disk at tmp_path/disk."""
    with disk(tmp_path / "image", tmp_path / "disk", 48) as made:
        yield made


def now(side: Side) -> dict[str, Any]:
    """What the daemon tells of its transfers."""
    with state_of(side) as annex:
        return send(annex.layout, {"do": "status"}, Deadline(10))


def failure(side: Side, *words: str) -> dict[str, Any]:
    """A failed transfer whose reason has all the words, as soon as there is one; it is to be tried again."""

    def find() -> dict[str, Any]:
        failed = now(side)["failed"]
        found = [one for one in failed if all(word in one["reason"] for word in words)]
        assert found, f"no failure tells of {words}: {failed}"
        return dict(found[0])

    one = eventually(find, LIMIT, f"a failure that tells of {words}")
    assert one["next_try"] <= 75
    return one


def nothing_failed(side: Side) -> bool:
    told = now(side)
    assert not told["failed"], told["failed"]
    assert not [path for path in (side.repo / ".git/annex/transfer/failed").rglob("*") if path.is_file()]
    return True


def object_of(side: Side, key: Key) -> Path:
    with state_of(side) as annex:
        path = annex.store.locate(key)
    assert path is not None
    return Path(os.fsdecode(path))


def spoil(path: Path) -> bytes:
    """Change an object in place; what it was."""
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"?" * len(data))
    return data


def source_and_taker(
    make: Make, names: tuple[str, ...] = ("source",)
) -> tuple[list[Side], Side, dict[str, bytes], list[Key]]:
    """Annexes that have the content of two files, which their logs tell, and a clone that has not yet begun."""
    first = make(names[0])
    contents = {b"small": os.urandom(3000), b"large": os.urandom(2 * MIB)}
    keys = commit_known_files(first, contents, present=True)
    others = [clone(make, first, name) for name in names[1:]]
    taker = clone(make, first, "taker")
    for side in (first, *others):
        with state_of(side) as annex:
            for data, key in zip(contents.values(), keys, strict=True):
                if not annex.store.is_present(key):
                    annex.store.put_bytes(data, key)
            uuid = annex.uuid
        with state_of(first) as annex:
            annex.locations.record_many([(key, uuid, Presence.PRESENT) for key in keys])
    for side in others:
        taker.git("remote", "add", side.repo.name, str(side.repo))
        taker.git("config", f"remote.{side.repo.name}.annex-cost", "150")
    taker.git("fetch", "-q", names[0])
    return [first, *others], taker, {name.decode(): data for name, data in contents.items()}, keys


# -- the source


def test_wrong_content_is_not_taken_and_asked_for_again_until_it_is_right(make: Make) -> None:
    (source,), taker, contents, keys = source_and_taker(make)
    right = {key: spoil(object_of(source, key)) for key in keys}
    taker.start()
    for name in ("small", "large"):
        eventually(lambda name=name: is_pointer(taker, name), LIMIT)   # type: ignore[misc]
    assert failure(taker, "checksum")["remote"] == "source"
    eventually(lambda: len(now(taker)["failed"]) == 2, LIMIT, "both failures")
    with state_of(taker) as annex:
        assert not list(annex.store.all_keys())
    for key, data in right.items():
        object_of(source, key).write_bytes(data)
    eventually(lambda: all_there(taker, contents), RETRY_LIMIT, "the right content")
    eventually(lambda: nothing_failed(taker), LIMIT)


def test_wrong_content_is_had_from_another_remote_at_once(make: Make) -> None:
    (near, _far), taker, contents, keys = source_and_taker(make, ("near", "far"))
    for key in keys:
        spoil(object_of(near, key))
    taker.start()
    eventually(lambda: all_there(taker, contents), LIMIT, "the content of the other remote")
    eventually(lambda: nothing_failed(taker), LIMIT)


def test_a_source_that_vanishes_is_replaced_or_waited_for(make: Make) -> None:
    (near, far), taker, contents, _ = source_and_taker(make, ("near", "far"))
    taker.git("config", "annex.bwlimit", "100kB")
    taker.start()
    eventually(lambda: now(taker)["running"], LIMIT, "a transfer")
    aside = near.repo.with_name("aside")
    near.repo.rename(aside)
    far.repo.rename(far.repo.with_name("aside too"))
    control(taker)
    control(taker, do="resume")      # what was open is let go of
    taker.git("config", "--unset", "annex.bwlimit")
    eventually(lambda: not any(remote["available"] for remote in now(taker)["remotes"].values()), LIMIT)
    assert not taker.has("large", contents["large"])
    assert taker.running is not None and taker.running.is_running()
    far.repo.with_name("aside too").rename(far.repo)
    eventually(lambda: all_there(taker, contents), RETRY_LIMIT, "the content of the one that is back")
    eventually(lambda: nothing_failed(taker), LIMIT)
    aside.rename(near.repo)


def test_a_location_log_that_lies_costs_a_try(make: Make) -> None:
    (liar, _), taker, contents, keys = source_and_taker(make, ("liar", "honest"))
    with state_of(liar) as annex:
        for key in keys:
            annex.store.remove(key)
    taker.start()
    eventually(lambda: all_there(taker, contents), LIMIT, "the content of the other remote")
    eventually(lambda: nothing_failed(taker), LIMIT)


def test_what_nobody_has_though_the_log_says_so_is_asked_for_until_somebody_has_it(make: Make) -> None:
    (liar,), taker, contents, keys = source_and_taker(make)
    with state_of(liar) as annex:
        for key in keys:
            annex.store.remove(key)
    taker.start()
    failure(taker, "not")
    eventually(lambda: len(now(taker)["failed"]) == 2, LIMIT, "both failures")
    with state_of(liar) as annex:
        for data, key in zip(contents.values(), keys, strict=True):
            annex.store.put_bytes(data, key)
    eventually(lambda: all_there(taker, contents), RETRY_LIMIT, "the content")
    eventually(lambda: nothing_failed(taker), LIMIT)


# -- the place


def test_a_remote_whose_disk_is_full_gets_it_once_there_is_room(make: Make, drive: Disk) -> None:
    here, there = make("here"), make("disk/there")
    here.git("remote", "add", "there", str(there.repo))
    here.git("config", "annex.jobs", "3")
    there.git("config", "annex.diskreserve", "0")
    here.start()
    drive.fill(leave=5 * MIB)
    contents = {f"large{n}": os.urandom(4 * MIB) for n in range(3)}     # each would fit, and all begin together
    contents |= {f"small{n}": os.urandom(300_000) for n in range(20)}
    for name, data in contents.items():
        here.write(name, data)
    failure(here, "space")
    here.wait_for_alert("space")
    drive.free()
    eventually(lambda: has_objects(there, len(contents)), RETRY_LIMIT, "all contents, with room")
    eventually(lambda: nothing_failed(here), LIMIT)
    eventually(lambda: "space" not in here.alerts(), LIMIT, "the end of the alert")


def has_objects(side: Side, count: int) -> bool:
    with state_of(side) as annex:
        found = list(annex.store.all_keys())
        assert len(found) >= count, f"{len(found)} contents"
        for key in found:
            assert annex.store.size(key) == key.size
    return True


def test_a_daemon_whose_own_disk_is_full_gets_it_once_there_is_room(make: Make, drive: Disk) -> None:
    far, here = make("far"), make("disk/here")
    connect(far, here)
    here.git("config", "annex.diskreserve", "0")
    far.git("config", "remote.here.annex-ignore", "true")       # so that `here` has to get it itself
    far.start()
    here.start()
    far.write("before", b"before")
    eventually(lambda: here.has("before", b"before"), LIMIT)
    drive.fill(leave=3 * MIB)
    contents = {"large": os.urandom(4 * MIB), **{f"small{n}": os.urandom(200_000) for n in range(20)}}
    for name, data in contents.items():
        far.write(name, data)
    eventually(lambda: "space" in here.alerts() + far.alerts() + str(now(here)["failed"]), LIMIT, "a word about it")
    drive.free()
    eventually(lambda: all_there(here, contents), RETRY_LIMIT, "all contents, with room")
    eventually(lambda: nothing_failed(here), LIMIT)
    assert here.running is not None and here.running.is_running()


def test_a_remote_that_becomes_read_only_holds_up_nobody_and_catches_up(make: Make, drive: Disk) -> None:
    here, there, other = make("here"), make("disk/there"), make("other")
    there.git("config", "annex.diskreserve", "0")
    here.git("remote", "add", "there", str(there.repo))
    here.git("remote", "add", "other", str(other.repo))
    here.start()
    here.write("before", b"before")
    eventually(lambda: has_objects(there, 1), LIMIT)
    drive.make_readonly()
    contents = {"large": os.urandom(2 * MIB), "small": os.urandom(3000)}
    for name, data in contents.items():
        here.write(name, data)
    eventually(lambda: has_objects(other, 3), LIMIT, "the contents at the other remote")
    told = eventually(lambda: waiting_with_reason(here), LIMIT, "a reason")
    assert "there" in str(told)
    drive.make_readonly(readonly=False)
    eventually(lambda: has_objects(there, 3), RETRY_LIMIT, "the contents, now that it can be written to")
    eventually(lambda: nothing_failed(here), LIMIT)


def waiting_with_reason(side: Side) -> list[dict[str, Any]]:
    told = now(side)
    found = [one for one in told["failed"] + told["queue"] if "ead-only" in one["reason"]]
    assert found, told
    return found


@pytest.mark.slow
def test_a_remote_that_hangs_holds_up_nobody_and_is_given_up(make: Make, drive: Disk) -> None:
    here, there, other = make("here"), make("disk/there"), make("other")
    there.git("config", "annex.diskreserve", "0")
    here.git("remote", "add", "there", str(there.repo))
    here.git("config", "remote.there.annex-stalldetection", "1KB/3s")
    here.start()
    here.write("before", b"before")
    eventually(lambda: has_objects(there, 1), LIMIT)
    with drive.frozen():
        contents = {"large": os.urandom(2 * MIB), "small": os.urandom(3000)}
        for name, data in contents.items():
            here.write(name, data)
        here.git("remote", "add", "other", str(other.repo))
        eventually(lambda: has_objects(other, 3), RETRY_LIMIT, "the contents at the other remote")
        failure(here, "stalled")
        assert now(here)["transfers"]["slots"] >= 1
    eventually(lambda: has_objects(there, 3), RETRY_LIMIT, "the contents, now that it answers")
    eventually(lambda: nothing_failed(here), LIMIT)


# -- ourselves


@pytest.mark.parametrize("what", ["transfer-half!", "upload-small!"])
def test_a_slot_that_dies_of_a_bug_loses_nothing(make: Make, what: str) -> None:
    here, there = make("here"), make("there")
    here.git("remote", "add", "there", str(there.repo))
    here.start(ANNEXD_FAULT=what)
    contents = {f"small{n}": os.urandom(3000) for n in range(20)} | {f"large{n}": os.urandom(2 * MIB) for n in range(3)}
    for name, data in contents.items():
        here.write(name, data)
    eventually(lambda: has_objects(there, len(contents)), RETRY_LIMIT, "all contents")
    assert "fault on purpose" in here.log()
    eventually(lambda: nothing_failed(here), LIMIT)
