"""ssh, against a real sshd."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.errors import RemoteRefused, RemoteUnavailable
from annexd.system.ssh import SshClient, Target
from annexd.threads.held import Held, LockDisciplineError, holding
from tests.support import sshd

pytestmark = pytest.mark.skipif(sshd.program() is None, reason="no sshd that lets this user in")

HOST = Target("test-host")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def client(server: sshd.Sshd) -> Iterator[SshClient]:
    with SshClient.connect(HOST, config=server.config) as client:
        yield client


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host", Target("host")),
        ("user@host", Target("host", "user")),
        ("user@host:2222", Target("host", "user", 2222)),
        ("u@[::1]:22", Target("::1", "u", 22)),
        ("[fe80::1%eth0]", Target("fe80::1%eth0")),
    ],
)
def test_targets_are_read_as_people_write_them(text: str, expected: Target) -> None:
    assert Target.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "user@-h", "-u@h", "h:0", "h:70000", "h:x", "a b", "::1", "@h", "a@b@h"]
)
def test_odd_targets_are_refused(text: str) -> None:
    with pytest.raises(RemoteRefused):
        Target.parse(text)


@given(st.text())
def test_no_target_is_taken_for_an_option(text: str) -> None:
    try:
        target = Target.parse(text)
    except RemoteRefused:
        return
    assert not target.host.startswith("-")
    assert not (target.user or "").startswith("-")


def test_a_command_gives_its_output_and_status(client: SshClient) -> None:
    answer = client.run("echo out; echo err >&2; exit 3")
    assert (answer.status, answer.out, answer.err) == (3, b"out\n", b"err\n")


def test_several_commands_share_the_connection(client: SshClient) -> None:
    assert [client.run(f"echo {n}").out for n in range(3)] == [b"0\n", b"1\n", b"2\n"]


def test_arguments_are_quoted(client: SshClient) -> None:
    assert client.run_argv(["printf", "%s|", "a b", "$HOME", "it's", "\n"]).out == b"a b|$HOME|it's|\n|"


def test_much_in_both_directions_does_not_block(client: SshClient) -> None:
    data = b"x" * (5 << 20)
    assert client.run("cat", stdin=data).out == data
    assert len(client.run("head -c 3000000 /dev/zero >&2").err) == 3_000_000


def test_a_command_that_takes_too_long_is_given_up(client: SshClient) -> None:
    with pytest.raises(RemoteUnavailable, match="too long"):
        client.run("sleep 60", timeout=0.3)
    assert client.run("echo still there").out == b"still there\n"


def test_closing_from_another_thread_breaks_a_blocked_call(client: SshClient) -> None:
    timer = threading.Timer(0.3, client.close)
    timer.start()
    begun = time.monotonic()
    try:
        answer = client.run("sleep 60", timeout=30)
        assert answer.status == -1
    except RemoteUnavailable:
        pass
    assert time.monotonic() - begun < 10


def test_small_requests_do_not_wait_for_acknowledgements(client: SshClient) -> None:
    transport = client._client.get_transport()
    assert transport is not None
    assert isinstance(transport.sock, socket.socket)
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_unknown_host_key_is_refused_with_advice(server: sshd.Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(server.config.read_text().replace(str(server.known_hosts), str(tmp_path / "none")))
    with pytest.raises(RemoteRefused, match="log in once"):
        SshClient.connect(HOST, config=config)


def test_a_changed_host_key_is_refused(server: sshd.Sshd, tmp_path: Path) -> None:
    key = server.key.with_suffix(".pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {key}")
    config = tmp_path / "config"
    config.write_text(server.config.read_text().replace(str(server.known_hosts), str(tmp_path / "known")))
    with pytest.raises(RemoteRefused, match="not the one in known_hosts"):
        SshClient.connect(HOST, config=config)


def test_a_key_that_is_not_accepted_is_refused(server: sshd.Sshd, tmp_path: Path) -> None:
    config = tmp_path / "config"
    other = server.key.with_name("host_key")
    config.write_text(server.config.read_text().replace(str(server.key), str(other)))
    with pytest.raises(RemoteRefused, match="did not let us in"):
        SshClient.connect(HOST, config=config)


def test_nobody_at_the_port_is_unavailable(server: sshd.Sshd) -> None:
    with pytest.raises(RemoteUnavailable):
        SshClient.connect(replace(HOST, port=1), config=server.config, timeout=2)


def test_a_server_that_says_nothing_is_unavailable(server: sshd.Sshd) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(RemoteUnavailable):
            SshClient.connect(replace(HOST, port=silent.getsockname()[1]), config=server.config, timeout=0.5)


def test_ssh_is_refused_while_the_annex_state_is_held(server: sshd.Sshd) -> None:
    with holding(Held.ANNEX_STATE), pytest.raises(LockDisciplineError):
        SshClient.connect(HOST, config=server.config)
