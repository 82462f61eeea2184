"""Remotes as git config describes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.errors import RemoteRefused
from annexd.remotes import registry
from annexd.remotes.contract import RemoteKind, RemoteSpec
from tests.support.annexes import add_remote, make_annex
from tests.support.repositories import git, make_git_repo, make_removable

TOP = b"/home/me/annex"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "here") as state:
        yield state
    make_removable(tmp_path)


def load(state: AnnexState) -> dict[str, RemoteSpec]:
    state.reload_config()
    return {spec.name: spec for spec in registry.load_specs(state)}


def configure(state: AnnexState, *args: str) -> None:
    git(Path(os.fsdecode(state.repo.top)), "config", *args)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/srv/annex", b"/srv/annex"),
        ("../other", b"/home/me/other"),
        ("sub/dir/", b"/home/me/annex/sub/dir"),
        ("file:///srv/with%20blank", b"/srv/with blank"),
        ("./a:b", b"/home/me/annex/a:b"),
        ("/srv/a:b", b"/srv/a:b"),
        ("host:path", None),
        ("me@host:/srv/annex", None),
        ("ssh://host/srv", None),
        ("https://host/x.git", None),
        ("ext::sh -c", None),
        ("annex::uuid?x", None),
        ("", None),
        (None, None),
    ],
)
def test_which_urls_are_places_on_this_machine(url: str | None, path: bytes | None) -> None:
    assert registry.local_path(url, TOP) == path


def test_names_that_are_not_utf8_survive() -> None:
    assert registry.local_path(os.fsdecode(b"/srv/\xff"), TOP) == b"/srv/\xff"
    assert registry.local_path("file:///srv/%ff", TOP) == b"/srv/\xff"


def test_a_repository_on_this_machine_is_found_out_and_remembered(here: AnnexState, tmp_path: Path) -> None:
    with make_annex(tmp_path / "there") as there:
        add_remote(here, "there", there)
        spec = load(here)["there"]
        assert spec.kind is RemoteKind.GIT_LOCAL
        assert spec.uuid == there.uuid
        assert spec.available and spec.holds_content
        assert (spec.cost, spec.path) == (100.0, there.repo.top)
        noted = git(tmp_path / "here", "config", "remote.there.annex-uuid").strip()
        assert noted == there.uuid
    (tmp_path / "there").rename(tmp_path / "gone")
    away = load(here)["there"]
    assert (away.uuid, away.available) == (spec.uuid, False)


def test_settings_are_taken_from_git_config(here: AnnexState, tmp_path: Path) -> None:
    with make_annex(tmp_path / "there") as there:
        add_remote(here, "there", there, annex_cost="42.5", annex_ignore="true")
        spec = load(here)["there"]
        assert spec.cost == 42.5
        assert not spec.holds_content


def test_a_plain_git_repository_is_a_remote_without_content(here: AnnexState, tmp_path: Path) -> None:
    make_git_repo(tmp_path / "plain")
    git(tmp_path / "here", "remote", "add", "plain", str(tmp_path / "plain"))
    spec = load(here)["plain"]
    assert spec.uuid is None
    assert spec.available and not spec.holds_content
    assert not (tmp_path / "plain/.git/annex").exists()


def test_a_clone_of_an_annex_becomes_one(here: AnnexState, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(tmp_path / "here"), "clone")
    git(tmp_path / "here", "remote", "add", "clone", str(tmp_path / "clone"))
    spec = load(here)["clone"]
    assert spec.uuid is not None
    assert spec.uuid != here.uuid
    assert git(tmp_path / "clone", "config", "annex.uuid").strip() == spec.uuid


def test_a_remote_over_ssh_says_that_its_content_is_not_moved_yet(here: AnnexState) -> None:
    git(Path(os.fsdecode(here.repo.top)), "remote", "add", "server", "me@server:annex")
    configure(here, "remote.server.annex-uuid", "11111111-1111-4111-8111-111111111111")
    spec = load(here)["server"]
    assert spec.kind is RemoteKind.GIT_SSH
    assert spec.available
    assert not spec.holds_content
    assert "not supported yet" in spec.content.reason
    with pytest.raises(RemoteRefused, match="server"):
        registry.open_remote(spec)


def test_a_special_remote_is_recognised(here: AnnexState) -> None:
    configure(here, "remote.usb.annex-directory", "/media/usb")
    configure(here, "remote.usb.annex-uuid", "11111111-1111-4111-8111-111111111111")
    spec = load(here)["usb"]
    assert spec.kind is RemoteKind.SPECIAL
    assert spec.path is None
    assert not spec.holds_content


def test_nothing_moves_to_a_repository_that_is_marked_as_dead(here: AnnexState, tmp_path: Path) -> None:
    with make_annex(tmp_path / "there") as there:
        add_remote(here, "there", there)
        here.branch.change(b"trust.log", lambda _: there.uuid + b" X timestamp=1700000000s\n")
        spec = load(here)["there"]
        assert not spec.holds_content
        assert "dead" in spec.content.reason
