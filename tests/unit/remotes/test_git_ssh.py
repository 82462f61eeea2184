"""What is asked of a repository behind ssh, with a real sshd and the real git-annex-shell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.errors import RemoteProtocolError, RemoteRefused, RemoteUnavailable
from annexd.remotes.git_ssh import ask_uuid, login_and_path
from tests.support import sshd
from tests.support.annexes import make_annex
from tests.support.repositories import git, make_removable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ssh://me@host:2222/srv/annex", ("me@host:2222", "/srv/annex")),
        ("ssh://host/~/my%20annex", ("host", "/~/my annex")),
        ("ssh://[::1]:22/x", ("[::1]:22", "/x")),
        ("me@host:/srv/annex", ("me@host", "/srv/annex")),
        ("host:annex", ("host", "/~/annex")),
        ("host:~/annex", ("host", "/~/annex")),
        ("[::1]:/x", ("[::1]", "/x")),
        ("https://host/x", None),
        ("/srv/annex", None),
        ("./a:b", None),
        ("ext::program", None),
        ("ssh://", None),
    ],
)
def test_git_urls_that_go_by_ssh(url: str, expected: tuple[str, str] | None) -> None:
    assert login_and_path(url) == expected


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    if sshd.program() is None:
        pytest.skip("no sshd that lets this user in")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def shell(server: sshd.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, annex_oracle: Path) -> str:
    """git-annex-shell, and a home whose ssh configuration leads to the server."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    shutil.copy(server.config, home / ".ssh/config")
    monkeypatch.setenv("HOME", str(home))
    return str(annex_oracle.with_name("git-annex-shell"))


@pytest.fixture
def there(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "it's there") as state:
        yield state
    make_removable(tmp_path)


def url_of(state: AnnexState) -> str:
    return "test-host:" + os.fsdecode(state.layout.work_tree or b"")


def test_the_uuid_of_an_annex_is_told(there: AnnexState, shell: str) -> None:
    assert ask_uuid(url_of(there), shell=shell) == there.uuid


def test_a_repository_that_is_no_annex_has_none(tmp_path: Path, shell: str) -> None:
    (tmp_path / "plain").mkdir()
    git(tmp_path / "plain", "init", "-q")
    assert ask_uuid(f"ssh://test-host{tmp_path}/plain", shell=shell) is None


def test_what_cannot_be_asked_is_told(there: AnnexState, shell: str, tmp_path: Path) -> None:
    with pytest.raises(RemoteProtocolError, match="127"):
        ask_uuid(url_of(there), shell="no-such-program")
    with pytest.raises(RemoteProtocolError):
        ask_uuid(f"test-host:{tmp_path}/nothing", shell=shell)
    with pytest.raises(RemoteUnavailable):
        ask_uuid("ssh://127.0.0.1:1/x", shell=shell, timeout=2.0)
    with pytest.raises(RemoteRefused):
        ask_uuid("https://host/x")
