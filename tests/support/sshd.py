"""An sshd of our own, on a port of its own, for the person who runs the tests."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from annexd.threads.deadline import Deadline
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Sshd:
    """Where it listens, and the files that a client needs."""

    port: int
    user: str
    config: Path        # for ssh -F
    known_hosts: Path
    key: Path


def program() -> str | None:
    """The full path of sshd, as it must be called by; None when there is none, or it would not let this user in."""
    if pwd.getpwuid(os.geteuid()).pw_shell.endswith(("/nologin", "/false")):
        return None
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


@contextmanager
def running(directory: Path) -> Iterator[Sshd]:
    """Up for the time of the block. Host `test-host` of the configuration leads to it, with a key that it accepts."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "user_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", directory / name], check=True
        )
    port = _free_port()
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {(directory / 'host_key.pub').read_text()}")
    shutil.copy(directory / "user_key.pub", directory / "authorized_keys")
    server = _start(directory, port)
    try:
        eventually(lambda: _listens(server, port, directory), Deadline(10), "sshd's start")
        config = directory / "config"
        config.write_text(_client_config(directory, port, known_hosts))
        yield Sshd(port, getpass.getuser(), config, known_hosts, directory / "user_key")
    finally:
        server.kill()
        server.wait()


def _start(directory: Path, port: int) -> subprocess.Popen[bytes]:
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        "PermitRootLogin yes\nUsePAM no\nMaxStartups 100\n"
    )
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)     # of a Debian that never started its own sshd
    path = program()
    assert path is not None
    with open(directory / "sshd.log", "wb") as log:
        return subprocess.Popen([path, "-D", "-e", "-f", directory / "sshd_config"], stdout=log, stderr=log)


def _client_config(directory: Path, port: int, known_hosts: Path) -> str:
    return (
        f"Host test-host\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {directory}/user_key\n  IdentitiesOnly yes\n  UserKnownHostsFile {known_hosts}\n"
    )


def _listens(server: subprocess.Popen[bytes], port: int, directory: Path) -> bool:
    assert server.poll() is None, (directory / "sshd.log").read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
