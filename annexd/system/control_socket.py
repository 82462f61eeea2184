"""A Unix socket that answers one line with one line, for other programs of the same user."""

from __future__ import annotations

import os
import selectors
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal

LONGEST_LINE = 1 << 16      # bytes of a request
CONNECTIONS = 32            # at a time; more wait to be accepted
IDLE_SECONDS = 60.0         # after which a silent connection is closed

Answer = Callable[[bytes], bytes]


class ControlSocket:
    """The side that answers. Belongs to the thread that calls `run`.

    `answer` gets a request and gives the answer, both without their newline; it should be quick, as one is answered
    after the other. Only the same user and root are listened to.
    """

    def __init__(self, path: bytes, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._clients: dict[socket.socket, _Client] = {}

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. What lies at the path, left by somebody who died, is replaced. OSError."""
        with ExitStack() as open_ones:
            listener = open_ones.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC))
            alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            open_ones.callback(os.close, alarm)
            selector = open_ones.enter_context(selectors.DefaultSelector())
            open_ones.callback(self._close_all)
            open_ones.callback(self._bind(listener))
            selector.register(listener, selectors.EVENT_READ)
            selector.register(alarm, selectors.EVENT_READ)
            open_ones.callback(stop.on_stop(lambda: os.eventfd_write(alarm, 1)))
            while not stop.is_set():
                for key, events in selector.select(IDLE_SECONDS if self._clients else None):
                    if key.fileobj is listener:
                        self._accept(listener, selector)
                    elif isinstance(key.fileobj, socket.socket):
                        self._serve(key.fileobj, events, selector)
                self._drop_idle(selector)

    def _bind(self, listener: socket.socket) -> Callable[[], None]:
        """Listen; what to do at the end."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        os.fchmod(listener.fileno(), 0o600)     # what bind makes has the mode that the socket has
        with _short(self._path) as path:
            listener.bind(path)
        listener.listen(CONNECTIONS)
        listener.setblocking(False)
        made = os.stat(self._path)

        def remove() -> None:
            with suppress(OSError):
                now = os.stat(self._path)
                if (now.st_dev, now.st_ino) == (made.st_dev, made.st_ino):
                    os.unlink(self._path)

        return remove

    def _accept(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            if len(self._clients) >= CONNECTIONS or _user_of(connection) not in (os.geteuid(), 0):
                connection.close()
                return
            connection.setblocking(False)
            self._clients[connection] = _Client()
            selector.register(connection, selectors.EVENT_READ)

    def _serve(self, connection: socket.socket, events: int, selector: selectors.BaseSelector) -> None:
        client = self._clients[connection]
        client.silent = Deadline(IDLE_SECONDS)
        try:
            if events & selectors.EVENT_READ:
                client.take(connection.recv(LONGEST_LINE), self._answer)
            if client.waiting:
                del client.waiting[: connection.send(client.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            client.waiting.clear()
            client.is_over = True
        if client.waiting:      # who does not read its answers is asked for no more
            selector.modify(connection, selectors.EVENT_WRITE)
        elif client.is_over:
            self._drop(connection, selector)
        else:
            selector.modify(connection, selectors.EVENT_READ)

    def _drop_idle(self, selector: selectors.BaseSelector) -> None:
        for connection in [c for c, client in self._clients.items() if client.silent.expired()]:
            self._drop(connection, selector)

    def _drop(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        selector.unregister(connection)
        del self._clients[connection]
        connection.close()

    def _close_all(self) -> None:
        for connection in self._clients:
            connection.close()
        self._clients.clear()


class _Client:
    """One connection: what came and is no whole line yet, and what is still to be sent."""

    def __init__(self) -> None:
        self.came = b""
        self.waiting = bytearray()
        self.silent = Deadline(IDLE_SECONDS)
        self.is_over = False

    def take(self, data: bytes, answer: Answer) -> None:
        """Answer the lines that are complete. Nothing more is expected after the end, or a line without one."""
        *lines, self.came = (self.came + data).split(b"\n")
        for line in lines:
            self.waiting += answer(line) + b"\n"
        self.is_over = not data or len(self.came) > LONGEST_LINE


def ask(path: bytes, request: bytes, deadline: Deadline) -> bytes:
    """The answer to one request line. OSError when nobody listens there, TimeoutError when it takes too long."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        _limit(connection, deadline)
        with _short(path) as name:
            connection.connect(name)
        connection.sendall(request + b"\n")
        pieces: list[bytes] = []
        while not (pieces and pieces[-1].endswith(b"\n")):
            _limit(connection, deadline)
            piece = connection.recv(1 << 16)
            if not piece:
                raise ConnectionResetError("no answer")
            pieces.append(piece)
        return b"".join(pieces)[:-1]


def _limit(connection: socket.socket, deadline: Deadline) -> None:
    left = deadline.remaining()
    connection.settimeout(None if left is None else max(left, 0.001))


@contextmanager
def _short(path: bytes) -> Iterator[bytes]:
    """A name for the path that fits into a socket's address, which has room for 107 bytes."""
    directory, name = os.path.split(path)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield b"/proc/self/fd/%d/%b" % (fd, name)
    finally:
        os.close(fd)


def _user_of(connection: socket.socket) -> int:
    """The user of the process at the other end."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", data)[1])
