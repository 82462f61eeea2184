"""What the transfer scan looks at, finds and remembers; the queue is real, and nothing takes from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.assistant.changes import Scan, ScanRequest
from annexd.assistant.transfer_scanner import KeyDelta, Nudge
from annexd.formats.uuid import UUID
from annexd.git.objects import Oid
from annexd.transfer import scan_search
from tests.support.eventually import eventually
from tests.support.many_keys import commit_keys, path_of
from tests.support.scanning import LIMIT, Running, World, downloads, uploads


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_the_first_scan_looks_at_everything_and_the_next_one_at_nothing(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(20)
    life = world.run()
    assert life.queued() == uploads(a, keys)
    world.tell(keys, a)
    life.finish_all()
    life.wait_until_noted()

    again = world.run()
    again.ask(ScanRequest(a, Scan.CHANGED))
    assert again.looked == [], "their logs changed, and say that all is well"
    assert again.queued() == set()


def test_what_was_queued_when_the_daemon_was_killed_is_found_again(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(20)
    life = world.run()
    assert life.queued() == uploads(a, keys)
    again = world.run()
    assert again.queued() == uploads(a, keys)
    done = [job.key for job in again.finish_all()[:-1]]
    again.wait_until_noted()
    assert set(done) < set(keys)


def test_a_later_scan_looks_only_at_what_changed(world: World) -> None:
    a = world.add_remote("a")
    old = world.add_files(20)
    world.tell(old, a)
    life = world.run()
    life.wait_until_noted()
    life.looked.clear()

    new = world.add_files(5)
    world.tell(old[:3], a, Presence.MISSING)
    life.ask(ScanRequest(a, Scan.CHANGED))
    assert set(life.looked) == {*new, *old[:3]}
    assert life.queued() == uploads(a, [*new, *old[:3]])


def test_changes_are_looked_at_a_moment_after_they_are_told_of(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(3, present=False)
    life = world.run()
    assert life.queued() == set()
    life.parts.deferred.satisfied(keys)     # as if nobody had wanted them then
    world.tell(keys, a)
    life.ask(Nudge.CHANGED)
    eventually(lambda: life.queued() == downloads(keys), LIMIT)


def test_a_commit_by_hand_is_looked_at_at_once(world: World) -> None:
    a = world.add_remote("a")
    life = world.run()
    before = world.here.refs.head().oid
    keys = world.add_files(3)
    after = world.here.refs.head().oid
    assert after is not None
    life.wishes.put(KeyDelta(before, after))
    eventually(lambda: {job.identity for job in life.parts.queue.waiting(10)} == uploads(a, keys), 1.5)


@pytest.mark.parametrize("damage", ["lost", "cut off", "of another repository", "the table of keys lost"])
def test_a_lost_or_damaged_note_means_looking_at_everything(world: World, damage: str) -> None:
    a = world.add_remote("a")
    keys = world.add_files(20)
    world.tell(keys, a)
    world.run().wait_until_noted()
    world.run().end()
    cursors = Path(os.fsdecode(world.here.layout.annexd_dir)) / "scan-cursors"
    whole = cursors.read_bytes()
    match damage:
        case "lost":
            cursors.unlink()
        case "cut off":
            cursors.write_bytes(whole[: len(whole) // 2])
        case "of another repository":
            cursors.write_bytes(whole.replace(world.here.uuid.hex().encode(), b"00"))
        case _:
            (cursors.parent / "tree-keys.db").write_bytes(b"nonsense" * 1000)
    os.unlink(world.here.store.locate(keys[0]) or b"")
    world.tell(keys[:1], world.here.uuid, Presence.MISSING)

    life = world.run()
    assert life.queued() == downloads(keys[:1])
    later = world.add_files(2)
    life.ask(ScanRequest(a, Scan.CHANGED))
    assert life.queued() == downloads(keys[:1]) | uploads(a, later)


def test_lost_deferred_downloads_are_found_again(world: World) -> None:
    world.add_remote("a")
    keys = world.add_files(20, present=False)
    life = world.run()
    life.wait_until_noted()
    assert len(life.parts.deferred) == 20
    life.end()
    life.parts.deferred.close()
    for name in ("deferred.db", "deferred.db-wal", "deferred.db-shm"):
        (Path(os.fsdecode(world.here.layout.annexd_dir)) / name).unlink(missing_ok=True)
    again = world.run()
    assert len(again.parts.deferred) == 20
    assert all(key in again.parts.deferred for key in keys)


def test_deferred_downloads_are_not_looked_at_again(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(20, present=False)
    world.run().wait_until_noted()
    again = world.run()
    again.ask(ScanRequest(a, Scan.CHANGED))
    assert again.looked == []
    assert len(again.parts.deferred) == 20
    world.tell(keys[:2], a)
    again.ask(ScanRequest(a, Scan.CHANGED))
    assert again.queued() == downloads(keys[:2])
    assert len(again.parts.deferred) == 18


def test_a_cursor_whose_commits_are_gone_means_looking_at_everything(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(10)
    world.tell(keys, a)
    life = world.run()
    life.wait_until_noted()
    cursor = life.scanner._ledger._done[a]
    life.scanner._ledger._done[a] = cursor._replace(tip=Oid(b"\x11" * 20))
    world.tell(keys[:1], a, Presence.MISSING)
    world.tell(keys[1:2], a, Presence.MISSING)
    life.ask(ScanRequest(a, Scan.CHANGED))
    assert life.queued() == uploads(a, keys[:2])


def test_other_rules_mean_looking_at_everything(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(10)
    world.tell([*keys], a)
    life = world.run()
    life.wait_until_noted()
    world.here.branch.change_many({b"preferred-content.log": lambda _: b"1700000000s %b anything\n" % a})
    life.looked.clear()
    life.ask(ScanRequest(a, Scan.CHANGED))
    world.use([replace(spec, config=replace(spec.config, readonly=True)) for spec in world.specs])
    life.ask(ScanRequest(a, Scan.CHANGED))
    life.wait_until_noted()
    world.use([replace(spec, config=replace(spec.config, readonly=False)) for spec in world.specs])
    world.tell(keys[:2], a, Presence.MISSING)
    life.ask(ScanRequest(a, Scan.CHANGED))
    assert life.queued() == uploads(a, keys[:2])


def test_a_new_remote_is_scanned_for_and_the_known_ones_are_not(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(20)
    world.tell(keys, a)
    life = world.run()
    life.wait_until_noted()
    b = world.add_remote("b")
    world.tell(keys[5:], b)
    life.looked.clear()
    life.ask(ScanRequest(b, Scan.CHANGED))
    assert life.queued() == uploads(b, keys[:5])


def test_several_remotes_are_scanned_for_in_one_pass(world: World) -> None:
    a, b = world.add_remote("a"), world.add_remote("b")
    keys = world.add_files(30)
    life = world.run()
    assert life.queued() == uploads(a, keys) | uploads(b, keys)
    assert len(life.looked) == 30


def test_a_remote_that_connects_in_mid_scan_is_taken_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_search, "AT_ONCE", 10)
    a = world.add_remote("a")
    life = world.run()
    b = world.add_remote("b")
    world.available("b", is_there=False)
    keys = world.add_files(100)
    life.hook = lambda: _connect_once(world, life, b)
    life.ask(ScanRequest(None, Scan.FULL))
    assert life.queued() == uploads(a, keys) | uploads(b, keys)
    assert len(life.looked) < 2 * 100 + 40, "what was seen after it connected is not looked at again"
    life.finish_all()
    life.wait_until_noted()
    assert set(life.scanner._ledger.done()) == {world.here.uuid, a, b}


def _connect_once(world: World, life: Running, uuid: UUID) -> None:
    if len(life.looked) >= 50 and not all(spec.available for spec in world.specs):
        world.available("b", is_there=True)
        life.wishes.put(ScanRequest(uuid, Scan.CHANGED))


def test_a_remote_that_is_not_there_gets_nothing_until_it_is_back(world: World) -> None:
    a = world.add_remote("a")
    world.available("a", is_there=False)
    here = world.add_files(3)
    there = world.add_files(3, present=False)
    world.tell(there, a)
    life = world.run()
    assert life.queued() == set()
    life.wait_until_noted()
    world.available("a", is_there=True)
    life.ask(ScanRequest(a, Scan.CHANGED))
    assert life.queued() == uploads(a, here) | downloads(there)


def test_downloads_for_files_that_are_gone_are_forgotten(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(4, present=False)
    world.tell(keys[2:], a)
    life = world.run()
    assert len(life.parts.deferred) == 2
    assert life.queued() == downloads(keys[2:])
    commit_keys(world.here, {path_of(0): None, path_of(2): None, b"copy": keys[1], path_of(1): None})
    life.ask(ScanRequest(a, Scan.CHANGED))
    assert life.queued() == downloads(keys[3:])
    assert [job.key for job in life.parts.deferred.waiting(9)] == [keys[1]]


def test_content_without_a_log_is_told_of(world: World) -> None:
    world.add_remote("a")
    keys = world.add_files(5, told=False)
    life = world.run()
    life.finish_all()
    life.wait_until_noted()
    assert all(world.here.uuid in found for found in world.here.locations.locations_many(keys).values())


def test_content_that_a_lying_log_claims_to_be_here_is_fetched(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(3, present=False)
    world.tell(keys, world.here.uuid)
    world.tell(keys, a)
    assert world.run().queued() == downloads(keys)


def test_a_branch_with_files_in_odd_places_hides_nothing(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(50)
    odd = {b"000/000/%b.log" % key.file_name(): (lambda _: b"1s 1 nobody\n") for key in keys[:20]}
    odd[b"00/x/y.log"] = odd[b"zzz/zz.log"] = odd[b"f/f/SHA256--x.log"] = lambda _: b"\xff\0"
    world.here.branch.change_many(odd)
    assert world.run().queued() == uploads(a, keys)


def test_a_remote_that_was_away_for_a_moment_of_the_scan_is_looked_at_again(world: World) -> None:
    """While it was away nothing was queued for it; the scan may not count for it."""
    a, b = world.add_remote("a"), world.add_remote("b")
    keys = world.add_files(10)
    world.available("b", is_there=False)
    life = world.run()
    assert life.queued() == uploads(a, keys)
    world.available("b", is_there=True)
    more = world.add_files(5)

    def blink() -> None:
        life.hook = lambda: None
        world.available("b", is_there=False)

    life.hook = blink
    life.ask(ScanRequest(b, Scan.CHANGED))
    assert life.queued() == uploads(a, [*keys, *more])
    world.available("b", is_there=True)
    life.ask(ScanRequest(b, Scan.CHANGED))
    assert life.queued() == uploads(a, [*keys, *more]) | uploads(b, [*keys, *more])


def test_a_remote_that_is_taken_away_and_comes_again_is_looked_at_anew(world: World) -> None:
    a, b = world.add_remote("a"), world.add_remote("b")
    keys = world.add_files(6)
    only_b = world.add_files(2, present=False)
    world.tell(only_b, b)
    life = world.run()
    assert life.queued() == uploads(a, keys) | uploads(b, keys) | downloads(only_b)
    specs = world.specs
    world.use([spec for spec in specs if spec.name == "a"])
    assert life.queued() == uploads(a, keys)
    assert len(life.parts.deferred) == 2
    world.tell(keys, a)
    life.finish_all()
    life.wait_until_noted()
    assert set(life.scanner._ledger.done()) == {world.here.uuid, a}
    world.use(specs)
    life.ask(ScanRequest(b, Scan.CHANGED))
    assert life.queued() == uploads(b, keys) | downloads(only_b)
    assert len(life.parts.deferred) == 0


def test_what_a_person_cancelled_stays_cancelled_until_the_next_start(world: World) -> None:
    a = world.add_remote("a")
    keys = world.add_files(6)
    life = world.run()
    assert life.queued() == uploads(a, keys)
    assert life.parts.controller.cancel_all() == 6
    life.wishes.put(Nudge.ENDED)
    eventually(lambda: life.scanner._ledger._is_held, LIMIT)
    more = world.add_files(2)
    life.ask(ScanRequest(a, Scan.CHANGED))
    assert life.queued() == uploads(a, more)
    assert world.run().queued() == uploads(a, [*keys, *more])
