"""What other programs may ask of the daemon."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.shared import SharedAnnex
from annexd.assistant.control import Control, send, socket_path
from annexd.errors import RemoteUnavailable, UserError
from annexd.formats.key import Key
from annexd.remotes import registry
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.gate import Admission
from annexd.transfer.job import Direction, Job
from annexd.transfer.transfers import Plan, RemoteTable, build
from tests.support.annexes import add_remote, make_annex, put
from tests.support.eventually import eventually
from tests.support.many_keys import make_key
from tests.support.repositories import make_removable


class World:
    """An annex with the remotes a and b, and transfers that nobody does."""

    def __init__(self, top: Path) -> None:
        self.here = make_annex(top / "here")
        self.others = {name: make_annex(top / name) for name in ("a", "b")}
        for name, other in self.others.items():
            add_remote(self.here, name, other)
        self.shared = SharedAnnex(self.here)
        self.table = RemoteTable(registry.load_specs(self.here))
        self.parts = build(
            Plan(
                layout=self.here.layout, us=self.here.uuid, table=self.table, fork=self.here.fork,
                open_remote=registry.open_remote, replan=lambda _: None, tell=lambda _: None, slots=3,
            )
        )  # fmt: skip
        self.control = Control(self.shared, self.parts, self.table.get, lambda: {"longest_hold_ms": 3})

    def ask(self, **request: object) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.control.answer(json.dumps(request).encode()))
        return answer

    def why(self, key: Key, name: str) -> dict[str, Any]:
        answer = self.ask(do="why", key=str(key), remote=name)
        assert answer["ok"], answer
        (standing,) = answer["where"]
        found: dict[str, Any] = standing
        return found

    def upload(self, key: Key) -> None:
        self.parts.requests.upload(self.here, [(key, b"file")])

    def download(self, key: Key) -> None:
        self.parts.requests.download(self.here, [(key, b"file")])

    def tell(self, key: Key, name: str) -> None:
        self.here.locations.record_many([(key, self.others[name].uuid, Presence.PRESENT)])

    def fail(self, job: Job, reason: str) -> None:
        self.parts.failed.record(job, job.remotes[0], reason)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for annex in (made.here, *made.others.values()):
        annex.close()
    make_removable(tmp_path)


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"[]", b'"status"', b"{}", b'{"do": "fly"}', b'{"do": "why"}', b'{"do": "why", "key": "x"}',
     b'{"do": "pause"}', b'{"do": "pause", "what": "remote", "remote": "nobody"}', b'{"do": "jobs", "count": 0}',
     b'{"do": "cancel", "what": "transfer", "direction": "upload", "key": "SHA256--x", "remote": "a"}', b"\xff\xfe"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_a_reason(world: World, line: bytes) -> None:
    answer = json.loads(world.control.answer(line))
    assert answer["ok"] is False
    assert answer["error"]


def test_the_status_tells_of_everything_that_waits(world: World) -> None:
    keys = [put(world.here, b"%d" % n) for n in range(3)]
    for key in keys:
        world.upload(key)
    world.download(make_key(1))
    world.fail(Job(Direction.UPLOAD, keys[0], (world.others["b"].uuid,), b"file"), "disk full")
    work = world.parts.queue.next(lambda _: Admission.OPEN)
    assert work is not None
    answer = world.ask(do="status")
    assert answer["transfers"]["queued"] == 3
    assert answer["transfers"]["running"] == 3
    assert answer["transfers"]["deferred"] == 1
    assert answer["transfers"]["slots"] == 3
    assert answer["failed"][0]["reason"] == "disk full"
    assert answer["failed"][0]["remote"] == "b"
    assert answer["remotes"]["a"]["waiting"] + answer["remotes"]["b"]["waiting"] == 3
    assert answer["deferred"][0]["key"] == str(make_key(1))
    assert answer["daemon"] == {"longest_hold_ms": 3}


def test_why_something_is_where_it_is(world: World) -> None:
    here, there, nowhere = put(world.here, b"here"), make_key(1), make_key(2)
    world.here.locations.record_many([(here, world.here.uuid, Presence.PRESENT)])
    assert world.why(here, "here")["state"] == "present"
    assert world.why(here, "a")["state"] == "unplanned"
    world.upload(here)
    assert world.why(here, "a")["state"] == "queued"
    world.tell(here, "b")
    assert world.why(here, "b")["state"] == "present"

    world.tell(there, "a")
    assert world.why(there, "here")["state"] == "unplanned"
    world.download(there)
    assert world.why(there, "here")["state"] == "queued"
    world.download(nowhere)
    assert world.why(nowhere, "here")["state"] == "deferred"
    assert world.why(nowhere, "a")["reason"] == "the content is not here either"


def test_why_something_waits(world: World) -> None:
    key = put(world.here, b"here")
    world.upload(key)
    upload = {"what": "transfer", "direction": "upload", "key": str(key), "remote": "a"}
    assert world.ask(do="pause", **upload)["ok"]
    assert world.why(key, "a")["state"] == "paused"
    assert world.ask(do="resume", **upload)["ok"]
    assert world.ask(do="pause", what="remote", remote="a")["ok"]
    assert "with that remote" in world.why(key, "a")["reason"]
    assert world.why(key, "b")["state"] == "queued"
    assert world.ask(do="resume", what="remote", remote="a")["ok"]
    assert world.ask(do="pause", what="all")["ok"]
    assert world.why(key, "b")["state"] == "paused"
    assert world.ask(do="resume", what="all")["ok"]

    uuid = world.others["a"].uuid
    world.parts.gate.enter(uuid)
    world.parts.aftermath._gate.leave(uuid, _fault(), "no route")
    found = world.why(key, "a")
    assert (found["state"], "no route" in found["reason"], found["next_try"] > 0) == ("waiting", True, True)


def test_why_something_failed_and_when_it_is_tried_again(world: World) -> None:
    key = put(world.here, b"here")
    world.fail(Job(Direction.UPLOAD, key, (world.others["a"].uuid,), b"file"), "disk full")
    found = world.why(key, "a")
    assert found["state"] == "failed"
    assert "disk full" in found["reason"]
    assert found["next_try"] > 0


def test_a_remote_that_is_not_there_or_left_out_is_named_as_such(world: World) -> None:
    from dataclasses import replace

    key = put(world.here, b"here")
    specs = {spec.name: spec for spec in registry.load_specs(world.here)}
    readonly = replace(specs["b"], config=replace(specs["b"].config, readonly=True))
    world.table.replace([replace(specs["a"], available=False), readonly])
    assert world.why(key, "a")["advice"] == "connect it"
    assert world.why(key, "b")["state"] == "left out"
    only_there = make_key(1)
    world.tell(only_there, "a")
    assert world.why(only_there, "here")["reason"] == "only a has it"


def test_what_is_cancelled_is_forgotten(world: World) -> None:
    keys = [put(world.here, b"%d" % n) for n in range(3)]
    for key in keys:
        world.upload(key)
    one = {"what": "transfer", "direction": "upload", "key": str(keys[0]), "remote": "a"}
    assert world.ask(do="cancel", **one)["count"] == 1
    assert not world.ask(do="cancel", **one)["ok"]
    assert world.ask(do="cancel", what="remote", remote="a")["count"] == 2
    world.fail(Job(Direction.UPLOAD, keys[0], (world.others["b"].uuid,), b"file"), str(RemoteUnavailable("gone")))
    assert world.ask(do="cancel", what="all")["count"] == 4
    assert world.ask(do="status")["transfers"]["queued"] == 0
    assert len(world.parts.failed) == 0


def test_the_number_of_slots_can_be_changed(world: World) -> None:
    assert world.ask(do="jobs", count=5)["slots"] == 5
    assert len(world.parts.slots) == 5


def test_it_is_asked_over_a_socket(world: World) -> None:
    stop = StopSignal()
    thread = NamedThread("control", lambda: world.control.run(stop))
    thread.start()
    try:
        eventually(lambda: os.path.exists(socket_path(world.here.layout)))
        assert send(world.here.layout, {"do": "status"}, Deadline(5))["transfers"]["queued"] == 0
        with pytest.raises(UserError, match="do one of"):
            send(world.here.layout, {"do": "fly"}, Deadline(5))
    finally:
        stop.set()
        assert thread.join(Deadline(5))


def _fault() -> Any:
    from annexd.transfer.gate import Verdict

    return Verdict.FAULT
