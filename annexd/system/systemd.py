"""Telling systemd how the service is doing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

VARIABLE = "NOTIFY_SOCKET"


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send `state`, e.g. "READY=1" or "STATUS=in sync" (several are separated by newlines).

    False when nobody listens: not started by systemd, or it is gone; that is no reason to fail. Does not block.
    Source: sd_notify(3).
    """
    address = environ.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto(state.encode(), address)
        except OSError:
            return False
    return True
