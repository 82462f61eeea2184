"""Paths as typed, against paths from the top of the work tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.cli.places import Places
from annexd.errors import UserError


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "top" / "sub").mkdir(parents=True)
    return tmp_path / "top"


def places(top: Path, cwd: Path) -> Places:
    return Places(os.fsencode(top), os.fsencode(cwd))


def test_a_word_is_read_from_the_current_directory(top: Path) -> None:
    here = places(top, top / "sub")
    assert here.repo_path("a") == b"sub/a"
    assert here.repo_path("../a") == b"a"
    assert here.repo_path(".") == b"sub"
    assert here.repo_path("..") == b""
    assert here.repo_path(str(top / "x/y")) == b"x/y"


def test_a_path_is_shown_from_the_current_directory(top: Path) -> None:
    here = places(top, top / "sub")
    assert here.shown(b"sub/a") == b"a"
    assert here.shown(b"b") == b"../b"
    assert places(top, top).shown(b"sub/a") == b"sub/a"


def test_a_word_outside_the_work_tree_is_refused(top: Path) -> None:
    with pytest.raises(UserError):
        places(top, top).repo_path("../other")
    with pytest.raises(UserError):
        places(top, top).repo_path("/etc/passwd")


def test_the_work_tree_by_another_name_is_the_work_tree(top: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(top)
    assert places(top, top).repo_path(str(tmp_path / "alias/f")) == b"f"
