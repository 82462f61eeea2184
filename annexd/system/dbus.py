"""Notifications on the person's desktop, over the session bus.

Source: Desktop Notifications Specification, org.freedesktop.Notifications.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import Future

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.errors import DBusError
from dbus_next.message import Message
from dbus_next.signature import Variant

from annexd.system.event_loop import EventLoop

CALL_LIMIT = 5.0        # seconds for an answer of the bus
RETRY_AFTER = 60.0      # seconds before a bus that could not be reached is tried again
_SERVICE = "org.freedesktop.Notifications"
_PATH = "/org/freedesktop/Notifications"
_URGENCY_NORMAL, _URGENCY_CRITICAL = 1, 2


class Notifier:
    """Shows short messages. Where there is no session bus, or nobody who shows them, nothing happens.

    `show` may be called from any thread and does not block; all else runs in the event loop's thread.
    """

    def __init__(self, loop: EventLoop, environ: Mapping[str, str] = os.environ) -> None:
        self._loop = loop
        self._address = _address(environ)
        self._bus: MessageBus | None = None
        self._connecting: asyncio.Lock | None = None
        self._not_before = 0.0
        self._shown: dict[str, int] = {}        # the server's number of the last message of a topic

    def show(self, summary: str, body: str = "", *, topic: str = "", urgent: bool = False) -> Future[bool] | None:
        """Show a message; it takes the place of the last one with the same `topic`. `urgent` ones stay until clicked.

        None when there is no bus; otherwise a future that says whether it was shown, for those who care.
        """
        if self._address is None:
            return None
        return self._loop.submit(self._show(summary, body, topic, urgent=urgent))

    async def _show(self, summary: str, body: str, topic: str, *, urgent: bool) -> bool:
        bus = await self._connected()
        if bus is None:
            return False
        urgency = _URGENCY_CRITICAL if urgent else _URGENCY_NORMAL
        replaces = self._shown.get(topic, 0) if topic else 0
        hints = {"urgency": Variant("y", urgency), "desktop-entry": Variant("s", "annexd")}
        arguments = ["annexd", replaces, "", _clean(summary), _clean(body), [], hints, -1]
        try:
            reply = await asyncio.wait_for(
                bus.call(Message(_SERVICE, _PATH, _SERVICE, "Notify", signature="susssasa{sv}i", body=arguments)),
                CALL_LIMIT,
            )
        except (TimeoutError, OSError, EOFError, DBusError):
            self._drop(bus)
            return False
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            return False        # nobody there who shows messages
        if topic:
            self._shown[topic] = int(reply.body[0])
        return True

    async def _connected(self) -> MessageBus | None:
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            now = asyncio.get_running_loop().time()
            if self._bus is not None and self._bus.connected:
                return self._bus
            if now < self._not_before:
                return None
            try:
                bus = MessageBus(bus_address=self._address or "", bus_type=BusType.SESSION)
                self._bus = await asyncio.wait_for(bus.connect(), CALL_LIMIT)
            except Exception:  # boundary: the library raises whatever an odd address or greeting led to  # noqa: BLE001
                self._bus = None
                self._not_before = now + RETRY_AFTER
            self._shown.clear()
            return self._bus

    def _drop(self, bus: MessageBus) -> None:
        bus.disconnect()  # type: ignore[no-untyped-call]
        self._bus = None


def _address(environ: Mapping[str, str]) -> str | None:
    """Where the session bus listens; None when there is none. Starting one, as X11 programs do, is not for us."""
    given = environ.get("DBUS_SESSION_BUS_ADDRESS")
    if given:
        return given
    usual = f"{environ.get('XDG_RUNTIME_DIR') or f'/run/user/{os.getuid()}'}/bus"
    return f"unix:path={usual}" if os.path.exists(usual) else None


def _clean(text: str) -> str:
    """The bus takes valid UTF-8 without NUL, and hangs up on anything else."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")
