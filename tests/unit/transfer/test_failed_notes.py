"""The notes about failed transfers that commands leave."""

from __future__ import annotations

from pathlib import Path

from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction, Transfer
from annexd.formats.uuid import UUID
from annexd.transfer import failed_notes
from annexd.transfer.failed_notes import NotesOfCommand
from tests.support.annexes import make_annex

ONE, OTHER = UUID(b"11111111-1111-4111-8111-111111111111"), UUID(b"22222222-2222-4222-8222-222222222222")
KEY = Key(b"SHA256E", b"abc", 3)


def test_notes_go_when_the_transfer_works(tmp_path: Path) -> None:
    with make_annex(tmp_path / "annex") as annex:
        earlier = Transfer(Direction.DOWNLOAD, ONE, KEY)
        failed_notes.write(annex.layout, earlier, b"file")
        notes = NotesOfCommand(annex.layout)
        notes.failed(Transfer(Direction.UPLOAD, ONE, KEY), b"file")
        notes.failed(Transfer(Direction.UPLOAD, OTHER, KEY), None)
        assert len(list(failed_notes.read_all(annex.layout))) == 3
        notes.done(Transfer(Direction.DOWNLOAD, OTHER, KEY))        # it is here, whoever could not give it
        notes.done(Transfer(Direction.UPLOAD, OTHER, KEY))
        ((left, info),) = failed_notes.read_all(annex.layout)
        assert left == Transfer(Direction.UPLOAD, ONE, KEY)
        assert info.file == b"file"


def test_where_nothing_can_be_noted_the_command_goes_on(tmp_path: Path) -> None:
    with make_annex(tmp_path / "annex") as annex:
        notes = NotesOfCommand(annex.layout)
        failed = Path(annex.layout.transfer_root.decode()) / "failed"
        failed.parent.mkdir(parents=True, exist_ok=True)
        failed.write_bytes(b"in the way")
        notes.failed(Transfer(Direction.UPLOAD, ONE, KEY), None)
        notes.done(Transfer(Direction.UPLOAD, ONE, KEY))
