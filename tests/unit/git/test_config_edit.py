"""Adding settings to git's config file in one step."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annexd.errors import BusyError
from annexd.git.config_edit import add_settings, with_settings
from annexd.git.config_file import parse_config_file
from annexd.git.repository import GitRepository

VALUES = st.binary(max_size=40).filter(lambda value: b"\0" not in value and b"\r" not in value)


def test_settings_are_added_by_section_behind_what_is_there() -> None:
    before = b"[core]\n\tbare = false"
    after = with_settings(before, {b"annex.uuid": b"u", b"annex.version": b"10", b"filter.annex.clean": b"x -- %f"})
    assert after == (
        b"[core]\n\tbare = false\n"
        b"[annex]\n\tuuid = u\n\tversion = 10\n"
        b'[filter "annex"]\n\tclean = x -- %f\n'
    )


def test_what_is_set_so_already_is_not_added_again() -> None:
    data = b"[annex]\n\tuuid = u\n"
    assert with_settings(data, {b"annex.uuid": b"u"}) is data
    assert with_settings(data, {}) is data
    assert dict(parse_config_file(with_settings(data, {b"annex.uuid": b"v"})))[b"annex.uuid"] == b"v"


@given(VALUES)
def test_any_value_is_read_back(value: bytes) -> None:
    data = with_settings(b"", {b"section.Middle Part.name": value})
    assert dict(parse_config_file(data)) == {b"section.Middle Part.name": value}


@settings(max_examples=20, deadline=None)
@given(VALUES.filter(lambda value: bool(value)))
def test_git_reads_the_same_value(tmp_path_factory: pytest.TempPathFactory, value: bytes) -> None:
    file = tmp_path_factory.mktemp("config") / "config"
    file.write_bytes(with_settings(b"", {b"a.b": value}))
    done = subprocess.run(["git", "config", "-z", "-f", file, "a.b"], capture_output=True, check=True)
    assert done.stdout == value + b"\0"


def test_the_file_is_replaced_under_gits_own_lock_and_keeps_its_mode(git_repo: Path) -> None:
    repo = GitRepository.discover(os.fsencode(git_repo))
    config = git_repo / ".git/config"
    config.chmod(0o640)
    add_settings(repo, {b"annex.uuid": b"u"})
    assert config.stat().st_mode & 0o777 == 0o640
    assert not (git_repo / ".git/config.lock").exists()
    add_settings(repo, {b"annex.uuid": b"u"})
    assert config.read_bytes().count(b"uuid") == 1
    (git_repo / ".git/config.lock").touch()
    with pytest.raises(BusyError):
        add_settings(repo, {b"annex.version": b"10"})
    assert (git_repo / ".git/config.lock").exists()
