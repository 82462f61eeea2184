"""A file that somebody has open for writing is left to its writer: what is written next must keep its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.annex.ingest import AddAs
from annexd.annex.state import AnnexState
from annexd.annex.work_files import WorkFiles
from annexd.errors import ContentChanged
from tests.unit.annex.content_helpers import ingest, write


@pytest.mark.parametrize("is_known", [False, True])
def test_a_file_is_not_locked_under_its_writer(state: AnnexState, is_known: bool) -> None:
    place = write(state, b"f", b"begun")
    known = ingest(state, b"f").key if is_known else None
    with open(place, "ab") as writer:
        with pytest.raises(ContentChanged):
            ingest(state, b"f", AddAs.LOCKED, known=known)
        writer.write(b" and ended")
    assert Path(os.fsdecode(place)).read_bytes() == b"begun and ended"
    assert ingest(state, b"f", AddAs.LOCKED).size == len(b"begun and ended")


def test_a_checkout_neither_replaces_nor_removes_a_file_under_its_writer(state: AnnexState) -> None:
    place = write(state, b"f", b"begun")
    work = WorkFiles(state.repo.work_tree or b"", state.store)
    with open(place, "ab") as writer:
        with pytest.raises(ContentChanged):
            work.replace(work.temp_bytes(b"from elsewhere", executable=False), b"f", os.lstat(place))
        with pytest.raises(ContentChanged):
            work.remove(b"f", os.lstat(place))
        writer.write(b" and ended")
    assert Path(os.fsdecode(place)).read_bytes() == b"begun and ended"
    work.replace(work.temp_bytes(b"from elsewhere", executable=False), b"f", os.lstat(place))
    assert Path(os.fsdecode(place)).read_bytes() == b"from elsewhere"
