"""Desktop notifications, over a real bus with a server of our own."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import MessageType
from dbus_next.message import Message

from annexd.system.dbus import Notifier
from annexd.system.event_loop import EventLoop
from annexd.threads.deadline import Deadline

needs_bus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus-daemon is not installed")


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    loop = EventLoop()
    yield loop
    loop.close(Deadline(5))


@pytest.fixture
def bus_address(tmp_path: Path) -> Iterator[str]:
    process = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address", f"--address=unix:path={tmp_path}/bus"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    yield process.stdout.readline().decode().strip()
    process.kill()
    process.communicate()


class Server:
    """Shows nothing, remembers everything."""

    def __init__(self) -> None:
        self.shown: list[list[object]] = []
        self.lock = threading.Lock()

    async def serve(self, address: str) -> MessageBus:
        bus = await MessageBus(bus_address=address).connect()
        bus.add_message_handler(self.handle)
        await bus.request_name("org.freedesktop.Notifications")
        return bus

    def handle(self, message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Notify":
            return False
        with self.lock:
            self.shown.append(list(message.body))
            number = message.body[1] or len(self.shown)
        return Message.new_method_return(message, "u", [number])


@needs_bus
def test_a_message_is_shown_and_replaces_the_last_one_of_its_topic(bus_address: str, loop: EventLoop) -> None:
    server = Server()
    bus = loop.call(server.serve(bus_address), Deadline(5))
    notifier = Notifier(loop, {"DBUS_SESSION_BUS_ADDRESS": bus_address})
    for summary, body in (("disk full", "move something"), ("disk fuller \udcff\0", "")):
        future = notifier.show(summary, body, topic="disk", urgent=True)
        assert future is not None
        assert future.result(5)
    first, second = server.shown
    assert first[:5] == ["annexd", 0, "", "disk full", "move something"]
    assert first[6]["urgency"].value == 2  # type: ignore[index]
    assert second[1] == 1
    bus.disconnect()


@needs_bus
def test_nobody_who_shows_messages_is_no_trouble(bus_address: str, loop: EventLoop) -> None:
    future = Notifier(loop, {"DBUS_SESSION_BUS_ADDRESS": bus_address}).show("hello")
    assert future is not None
    assert future.result(5) is False


@pytest.mark.parametrize("address", ["unix:path=/no/such/bus", "nonsense", "unix:"])
def test_a_bus_that_cannot_be_reached_is_no_trouble(address: str, loop: EventLoop) -> None:
    notifier = Notifier(loop, {"DBUS_SESSION_BUS_ADDRESS": address})
    for _ in range(2):
        future = notifier.show("hello")
        assert future is not None
        assert future.result(5) is False


def test_without_a_bus_nothing_is_started(loop: EventLoop, tmp_path: Path) -> None:
    assert Notifier(loop, {"XDG_RUNTIME_DIR": str(tmp_path)}).show("hello") is None
    assert loop._thread is None
