"""News of content that a dead command could not write down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.annex.unrecorded import UnrecordedNote, record_left_behind
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.system.lock_pool import LOCKS
from tests.support.annexes import make_annex

OTHER = UUID(b"22222222-2222-4222-8222-222222222222")
HERE, ABSENT = (Key(b"SHA256E", b"%064d.t\nxt" % n, 3) for n in range(2))


@pytest.fixture
def left_behind(tmp_path: Path) -> bytes:
    """A note whose owner is dead."""
    with make_annex(tmp_path / "annex") as annex:
        note = UnrecordedNote(annex.layout)
        note.add([HERE, ABSENT], annex.uuid)
        note.add([ABSENT], OTHER)
        (name,) = os.listdir(annex.layout.annexd_dir + b"/unrecorded")
        path = annex.layout.annexd_dir + b"/unrecorded/" + name
        assert record_left_behind(annex) == 0       # its owner lives: it is ours
        data = Path(os.fsdecode(path)).read_bytes()
        note.remove()
        assert not os.path.exists(path)
        Path(os.fsdecode(path)).write_bytes(data + b"cut off")
        assert LOCKS.holder_pid(path) is None
        return path


def test_of_this_repository_only_what_is_here_is_believed(tmp_path: Path, left_behind: bytes) -> None:
    from annexd.annex.state import AnnexState

    with AnnexState.open(os.fsencode(tmp_path / "annex")) as annex:
        annex.store.put_bytes(b"abc", HERE)
        assert record_left_behind(annex) == 2
        assert annex.locations.locations(HERE) == {annex.uuid}
        assert annex.locations.locations(ABSENT) == {OTHER}
        assert not os.path.exists(left_behind)
        assert record_left_behind(annex) == 0
