"""Asking other machines short questions over ssh, with paramiko. Import it where it is used: it is slow to import."""

from __future__ import annotations

import getpass
import os
import re
import select
import shlex
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import paramiko
from paramiko.ssh_exception import AuthenticationException, BadHostKeyException, SSHException

from annexd.errors import RemoteRefused, RemoteUnavailable
from annexd.threads.deadline import Deadline
from annexd.threads.held import Held, forbid_while_holding

CONNECT_LIMIT = 10.0                # seconds, when nobody says otherwise
LARGEST_OUTPUT = 16 << 20           # bytes; a hostile server must not fill the memory
_READ_SIZE = 1 << 16
_STEP = 0.2                         # seconds between looks at the deadline
_SEND_STEP = 0.005                  # seconds until a full window is looked at again
_TARGET = re.compile(
    r"(?:(?P<user>[^@\s-][^@\s]*)@)?(?:\[(?P<v6>[\w:.%]+)\]|(?P<host>[^:@\s\[\]-][^:@\s\[\]]*))(?::(?P<port>\d{1,5}))?"
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to connect to, as a person writes it: user@host:port, user and port being optional."""

    host: str
    user: str | None = None
    port: int | None = None

    @staticmethod
    def parse(text: str) -> Target:
        """RemoteRefused when it is not of that form. A host that starts with a dash is not."""
        found = _TARGET.fullmatch(text)
        if found is None:
            raise RemoteRefused(f"{text!r} is not of the form user@host:port")
        port = int(found["port"]) if found["port"] else None
        if port is not None and not 0 < port < 65536:
            raise RemoteRefused(f"{port} is not a port number")
        return Target(found["v6"] or found["host"], found["user"], port)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command on the other machine left."""

    status: int
    out: bytes
    err: bytes


@dataclass(frozen=True, slots=True)
class _Settings:
    """What ~/.ssh/config makes of a target."""

    host: str
    port: int
    user: str
    keys: tuple[str, ...]
    known_hosts: tuple[str, ...]
    proxy_command: str | None
    only_given_keys: bool


class SshClient:
    """One connection. Owned by one thread, but `close` may come from another and breaks a blocked call.

    Who the other machine is must be known already (known_hosts), as there is nobody to ask; keys come from the agent,
    from ~/.ssh/config, and from the usual files as long as they need no passphrase.
    """

    def __init__(self, client: paramiko.SSHClient, target: Target) -> None:
        self._client = client
        self._target = target

    @staticmethod
    def connect(target: Target, *, timeout: float = CONNECT_LIMIT, config: Path | None = None) -> SshClient:
        """Log in. RemoteUnavailable when that cannot be done now, RemoteRefused when it was denied; `timeout` seconds.

        `config` stands in for ~/.ssh/config.
        """
        forbid_while_holding(Held.ANNEX_STATE, "ssh")
        settings = _settings(target, config or Path.home() / ".ssh" / "config")
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        for file in settings.known_hosts:
            if os.access(file, os.R_OK):
                client.load_system_host_keys(file)
        try:
            _translate(lambda: _log_in(client, settings, timeout), target)
        except BaseException:
            client.close()
            raise
        return SshClient(client, target)

    def run(self, command: str, *, stdin: bytes = b"", timeout: float = 30.0) -> Answer:
        """Run a command line (of the shell at the other end) to its end.

        RemoteUnavailable when the connection breaks or `timeout` seconds pass.
        """
        forbid_while_holding(Held.ANNEX_STATE, "ssh")
        return _translate(lambda: self._run(command, stdin, Deadline(timeout)), self._target)

    def run_argv(self, argv: list[str], *, stdin: bytes = b"", timeout: float = 30.0) -> Answer:
        """Like `run`, for a program and its arguments, which are quoted for a POSIX shell."""
        return self.run(shlex.join(argv), stdin=stdin, timeout=timeout)

    def close(self) -> None:
        """Hang up. May be called again."""
        self._client.close()

    def __enter__(self) -> SshClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _run(self, command: str, stdin: bytes, deadline: Deadline) -> Answer:
        transport = self._client.get_transport()
        if transport is None:
            raise SSHException("not connected")
        channel = transport.open_session(timeout=deadline.limit(CONNECT_LIMIT))
        try:
            channel.exec_command(command)
            return _talk(channel, stdin, deadline)
        finally:
            channel.close()


def _talk(channel: paramiko.Channel, stdin: bytes, deadline: Deadline) -> Answer:
    """Feed and read by turns, so that neither side waits for the other for ever."""
    out, err = bytearray(), bytearray()
    rest = memoryview(stdin)
    poller = select.poll()
    poller.register(channel.fileno(), select.POLLIN)    # readable while there is output, and from its end on
    if not rest:
        channel.shutdown_write()
    while not (channel.closed or (channel.eof_received and channel.exit_status_ready())):
        if deadline.expired():
            raise TimeoutError("the command took too long")
        if len(out) + len(err) > LARGEST_OUTPUT:
            raise SSHException(f"the command wrote more than {LARGEST_OUTPUT} bytes")
        if _read_ready(channel, out, err):
            continue
        if rest and channel.send_ready():
            rest = rest[channel.send(bytes(rest[:_READ_SIZE])) :]
            if not rest:
                channel.shutdown_write()
        elif channel.eof_received:
            channel.status_event.wait(deadline.limit(_STEP))
        else:
            poller.poll(deadline.limit(_SEND_STEP if rest else _STEP) * 1000)
    while _read_ready(channel, out, err):
        pass
    status = channel.recv_exit_status() if channel.exit_status_ready() else -1
    return Answer(status, bytes(out), bytes(err))


def _read_ready(channel: paramiko.Channel, out: bytearray, err: bytearray) -> bool:
    progressed = False
    if channel.recv_ready():
        out += channel.recv(_READ_SIZE)
        progressed = True
    if channel.recv_stderr_ready():
        err += channel.recv_stderr(_READ_SIZE)
        progressed = True
    return progressed


def _log_in(client: paramiko.SSHClient, settings: _Settings, timeout: float) -> None:
    sock = paramiko.ProxyCommand(settings.proxy_command) if settings.proxy_command else None
    keys: Any = list(settings.keys) or None     # several are fine, whatever the type stubs say
    client.connect(
        settings.host,
        settings.port,
        settings.user,
        key_filename=keys,
        timeout=timeout,
        banner_timeout=timeout,
        auth_timeout=timeout,
        allow_agent=not settings.only_given_keys,
        look_for_keys=not settings.keys,
        sock=sock,
    )
    transport = client.get_transport()
    if transport is not None and isinstance(transport.sock, socket.socket):
        # Without it each small request waits for the acknowledgement of the one before.
        with suppress(OSError):
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _settings(target: Target, config: Path) -> _Settings:
    found: dict[str, str | list[str]] = {}
    if os.access(config, os.R_OK):
        try:
            found = dict(paramiko.SSHConfig.from_path(str(config)).lookup(target.host))
        except SSHException as error:
            raise RemoteUnavailable(f"{config} cannot be read: {error}") from error
    user = target.user or _text(found, "user") or getpass.getuser()
    host = _text(found, "hostname") or target.host
    port = target.port or int(_text(found, "port") or 22)
    jump = _text(found, "proxyjump")
    has_jump = jump is not None and jump.lower() != "none"
    proxy = f"ssh -W [{host}]:{port} {shlex.quote(str(jump))}" if has_jump else _text(found, "proxycommand")
    known = _text(found, "userknownhostsfile")
    usual = Path.home() / ".ssh"
    return _Settings(
        host=host,
        port=port,
        user=user,
        keys=tuple(os.path.expanduser(key) for key in found.get("identityfile", ())),
        known_hosts=(
            "/etc/ssh/ssh_known_hosts",
            *([os.path.expanduser(f) for f in shlex.split(known)] if known else [str(usual / "known_hosts")]),
        ),
        proxy_command=proxy if proxy and proxy.lower() != "none" else None,
        only_given_keys=_text(found, "identitiesonly") == "yes",
    )


def _text(found: Mapping[str, str | list[str]], name: str) -> str | None:
    value = found.get(name)
    return value if isinstance(value, str) else None


def _translate(action: Callable[[], T], target: Target) -> T:
    """Run `action`, and say what went wrong in our own words."""
    try:
        return action()
    except BadHostKeyException as error:
        raise RemoteRefused(
            f"the host key of {target.host} is not the one in known_hosts", hint="somebody may be in between"
        ) from error
    except AuthenticationException as error:
        raise RemoteRefused(f"{target.host} did not let us in: {error}", hint="is the key in the agent?") from error
    except SSHException as error:
        if "not found in known_hosts" in str(error):
            hint = f"log in once with `ssh {target.host}` to accept its key"
            raise RemoteRefused(f"the host key of {target.host} is not known", hint=hint) from error
        raise RemoteUnavailable(f"ssh to {target.host} failed: {error}") from error
    except (OSError, EOFError) as error:
        raise RemoteUnavailable(f"ssh to {target.host} failed: {error}") from error
