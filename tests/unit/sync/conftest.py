"""Two annexes, each the remote of the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.commit import IndexUpdate, stage_and_commit
from annexd.annex.state import AnnexState
from annexd.git.objects import Oid
from annexd.remotes.contract import RemoteSpec
from annexd.remotes.registry import load_specs
from annexd.threads.deadline import Deadline
from tests.support.annexes import add_remote, make_annex
from tests.support.repositories import make_removable

FILE = 0o100644


class Two:
    """The annexes `a` and `b`, and what is done in them by hand."""

    def __init__(self, a: AnnexState, b: AnnexState) -> None:
        self.a = a
        self.b = b

    def commit(self, annex: AnnexState, **files: bytes) -> Oid:
        """Write files and commit them; the commit."""
        updates = []
        for name, data in files.items():
            path = self.path(annex, name)
            path.write_bytes(data)
            updates.append(IndexUpdate(name.encode(), FILE, data, None, os.lstat(path)))
        result = stage_and_commit(annex, updates, b"by hand", Deadline(5))
        assert result is not None
        return result.new

    def path(self, annex: AnnexState, name: str) -> Path:
        """A file of the work tree."""
        return Path(os.fsdecode(annex.repo.top)) / name

    def branch(self) -> bytes:
        """The name of the branch that is checked out at both."""
        ref = self.a.refs.head().ref
        assert ref is not None
        return ref.removeprefix(b"refs/heads/")

    def spec_of_b(self) -> RemoteSpec:
        """`b` as the remote of `a`, as configured now."""
        self.a.reload_config()
        (spec,) = load_specs(self.a)
        return spec


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with make_annex(tmp_path / "a") as a, make_annex(tmp_path / "b") as b:
        add_remote(a, "b", b)
        add_remote(b, "a", a)
        yield Two(a, b)
    make_removable(tmp_path)


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Two]:
    """`a` with work tree, `b` bare."""
    with make_annex(tmp_path / "a") as a, make_annex(tmp_path / "b", bare=True) as b:
        add_remote(a, "b", b)
        yield Two(a, b)
    make_removable(tmp_path)
