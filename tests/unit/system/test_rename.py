"""What is replaced is what was expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.system import rename
from annexd.system.rename import replace_expected


@pytest.fixture
def pair(tmp_path: Path) -> tuple[bytes, bytes]:
    """A new file, and the one that it is to replace."""
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    return os.fsencode(tmp_path / "new"), os.fsencode(tmp_path / "old")


def holds_old(path: bytes) -> bool:
    return read(path) == b"old"


def read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@pytest.mark.parametrize("can_exchange", [True, False])
def test_the_expected_file_is_replaced(
    pair: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    new, old = pair
    if not can_exchange:
        monkeypatch.setattr(rename, "exchange", lambda _one, _other: False)
    assert replace_expected(new, old, holds_old)
    assert read(old) == b"new"
    assert not os.path.exists(new)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_another_file_keeps_its_name(
    pair: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    new, old = pair
    if not can_exchange:
        monkeypatch.setattr(rename, "exchange", lambda _one, _other: False)
    assert not replace_expected(new, old, lambda path: not holds_old(path))
    assert (read(old), read(new)) == (b"old", b"new")


def test_nothing_is_put_where_nothing_is(pair: tuple[bytes, bytes]) -> None:
    new, old = pair
    os.unlink(old)
    with pytest.raises(FileNotFoundError):
        replace_expected(new, old, holds_old)
    assert read(new) == b"new"
