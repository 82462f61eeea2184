"""The contestants: two folders kept in sync by annexd, by git-annex's assistant, or by Syncthing."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from tests.bench.measure import BenchTimeout, read_or_none, wait_until

START_SECONDS = 60


class Peer(Protocol):
    """Keeps `a` and `b` in sync between `start` and `stop`."""

    name: str
    a: Path
    b: Path

    def setup(self) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def pids(self) -> list[int]: ...


def environment(home: Path) -> dict[str, str]:
    """A home of its own, so that no contestant touches the person's settings."""
    home.mkdir(parents=True, exist_ok=True)
    settings = home / ".gitconfig"
    settings.write_text("[user]\n\tname = Bench\n\temail = bench@example.com\n[init]\n\tdefaultBranch = main\n")
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_", "DBUS_"))}
    scripts = str(Path(sys.executable).parent)
    return keep | {
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": scripts + os.pathsep + keep.get("PATH", ""),
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }


def _git(env: dict[str, str], where: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(where), *args], env=env, check=True, capture_output=True)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Annexd:
    name = "annexd"

    def __init__(self, top: Path, *, configure: dict[str, str] | None = None) -> None:
        self.a, self.b, self._top = top / "a", top / "b", top
        self._env = environment(top / "home")
        self._running: list[subprocess.Popen[bytes]] = []
        self._configure = configure or {}

    def _annexd(self, where: Path, *args: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "annexd", *args], cwd=where, env=self._env, check=True, capture_output=True
        )

    def setup(self) -> None:
        for here in (self.a, self.b):
            here.mkdir()
            _git(self._env, here, "init", "-q")
            self._annexd(here, "init", here.name)
            for name, value in self._configure.items():
                _git(self._env, here, "config", name, value)
        _git(self._env, self.a, "remote", "add", "b", str(self.b))
        _git(self._env, self.b, "remote", "add", "a", str(self.a))

    def start(self) -> None:
        for here in (self.a, self.b):
            log = open(self._top / f"{here.name}.log", "ab")
            self._running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "annexd", "run"], cwd=here, env=self._env, stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL,
                )
            )
            log.close()

    def stop(self) -> None:
        _end(self._running)
        self._running = []

    def pids(self) -> list[int]:
        return [process.pid for process in self._running]


class GitAnnexAssistant(Annexd):
    """git-annex's own assistant, with its defaults.

    It begins with a common history, as it never merges into an unborn HEAD.
    """

    def setup(self) -> None:
        self.a.mkdir()
        _git(self._env, self.a, "init", "-q")
        _git(self._env, self.a, "commit", "-q", "--allow-empty", "-m", "begin")
        _git(self._env, self._top, "clone", "-q", str(self.a), str(self.b))
        _git(self._env, self.b, "remote", "remove", "origin")
        for here in (self.a, self.b):
            _git(self._env, here, "annex", "init", here.name)
        _git(self._env, self.a, "remote", "add", "b", str(self.b))
        _git(self._env, self.b, "remote", "add", "a", str(self.a))

    def start(self) -> None:
        for here in (self.a, self.b):
            log = open(self._top / f"{here.name}.log", "ab")
            self._running.append(
                subprocess.Popen(
                    ["git-annex", "assistant", "--foreground"], cwd=here, env=self._env, stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL,
                )
            )
            log.close()

    @staticmethod
    def available() -> bool:
        return shutil.which("git-annex") is not None


class Syncthing:
    """Syncthing over loopback with its file watcher set to 1 s; all discovery, relays and reports are off."""

    name = "Syncthing"

    def __init__(self, top: Path) -> None:
        self.a, self.b, self._top = top / "a", top / "b", top
        self._env = environment(top / "home") | {"STNOUPGRADE": "1", "STNODEFAULTFOLDER": "1"}
        self._running: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def available() -> bool:
        return shutil.which("syncthing") is not None

    def setup(self) -> None:
        ids, ports = {}, {}
        for here in (self.a, self.b):
            here.mkdir()
            home = self._top / f"config-{here.name}"
            subprocess.run(
                ["syncthing", "generate", "--home", str(home), "--no-default-folder"],
                env=self._env, check=True, capture_output=True,
            )
            config = (home / "config.xml").read_text()
            match = re.search(r'<device id="([A-Z0-9-]+)"', config)
            assert match is not None, "syncthing wrote no device id"
            ids[here.name] = match[1]
            ports[here.name] = free_port()
        for here in (self.a, self.b):
            home = self._top / f"config-{here.name}"
            (home / "config.xml").write_text(self._config(here, ids, ports))

    def _config(self, here: Path, ids: dict[str, str], ports: dict[str, int]) -> str:
        devices = "".join(
            f'<device id="{ids[n]}" name="{n}" compression="never"><address>tcp://127.0.0.1:{ports[n]}</address></device>'
            for n in ids
        )
        members = "".join(f'<device id="{i}"></device>' for i in ids.values())
        return (
            f'<configuration version="36"><folder id="bench" label="bench" path="{here}" type="sendreceive" '
            f'rescanIntervalS="3600" fsWatcherEnabled="true" fsWatcherDelayS="1" ignorePerms="false">{members}'
            f'<minDiskFree unit="">0</minDiskFree></folder>{devices}<gui enabled="true" tls="false">'
            f"<address>127.0.0.1:{free_port()}</address><apikey>bench</apikey></gui><options>"
            f"<listenAddress>tcp://127.0.0.1:{ports[here.name]}</listenAddress>"
            "<globalAnnounceEnabled>false</globalAnnounceEnabled><localAnnounceEnabled>false</localAnnounceEnabled>"
            "<relaysEnabled>false</relaysEnabled><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>"
            "<autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>"
            "<startBrowser>false</startBrowser><reconnectionIntervalS>1</reconnectionIntervalS>"
            "<announceLANAddresses>false</announceLANAddresses><stunKeepaliveStartS>0</stunKeepaliveStartS>"
            "</options></configuration>"
        )

    def start(self) -> None:
        for here in (self.a, self.b):
            log = open(self._top / f"{here.name}.log", "ab")
            self._running.append(
                subprocess.Popen(
                    ["syncthing", "serve", "--home", str(self._top / f"config-{here.name}"), "--no-browser",
                     "--no-restart"],
                    env=self._env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                )
            )
            log.close()

    def stop(self) -> None:
        _end(self._running)
        self._running = []

    def pids(self) -> list[int]:
        return [process.pid for process in self._running]


def free_port() -> int:
    """A TCP port on loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_in_sync(peer: Peer, seconds: float = START_SECONDS) -> None:
    """Both directions carry a file: the contestant is up."""
    for source, target in ((peer.a, peer.b), (peer.b, peer.a)):
        name = f"ready-{source.name}-{time.monotonic_ns()}"
        (source / name).write_bytes(b"ready\n" * 10)
        try:
            wait_until(lambda t=str(target / name): read_or_none(t) == b"ready\n" * 10, seconds, f"{peer.name} ready")
        except BenchTimeout:
            # the assistant is known to leave files as pointers; what was asked is only whether it runs
            if not (isinstance(peer, GitAnnexAssistant) and (target / name).exists()):
                raise
