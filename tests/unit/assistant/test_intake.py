"""What the committer makes of single files."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.classify import Finding, look
from annexd.assistant.intake import Intake, Taken
from annexd.git.index import GitIndex
from tests.support.annexes import content, key_of, make_annex, put
from tests.support.repositories import make_removable


@pytest.fixture
def annex(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "here") as state:
        yield state
    make_removable(tmp_path)


@pytest.fixture
def intake(annex: AnnexState) -> Iterator[Intake]:
    made = Intake(annex.repo, annex.layout, annex.store)
    made.prepare(annex.config, annex.settings, annex.store)
    yield made
    made.close()


def find(annex: AnnexState, path: bytes) -> Finding:
    """A new file as the committer finds it."""
    return look(annex.layout.work_tree or b"", Change(path, ChangeKind.APPEARED, time.monotonic()), GitIndex())


@pytest.mark.parametrize("newer", [b"old content", b"new content"], ids=["the-same", "another"])
def test_a_renamed_file_that_is_saved_anew_before_it_is_taken_in_gets_the_key_of_what_it_holds(
    annex: AnnexState, intake: Intake, tmp_path: Path, newer: bytes
) -> None:
    old = put(annex, b"old content")
    place = tmp_path / "here" / "renamed.dat"
    place.write_bytes(b"old content")
    finding = find(annex, b"renamed.dat")
    (tmp_path / "being-saved").write_bytes(newer)
    os.replace(tmp_path / "being-saved", place)
    taken = intake.take_renamed(finding, old)
    assert isinstance(taken, Taken)
    assert taken.key == key_of(newer, b".dat")
    assert content(annex, key_of(newer, b".dat")) == newer
