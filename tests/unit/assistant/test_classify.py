"""What a path is, by one lstat and git's index."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from annexd.assistant.changes import Change, ChangeKind
from annexd.assistant.classify import What, is_same_content, look
from annexd.git.index import FileStamp, GitIndex, IndexEntry
from annexd.git.objects import Oid

OID = Oid(bytes(range(20)))
OBJECT = ".git/annex/objects/mK/4w/SHA256E-s1--abc.dat/SHA256E-s1--abc.dat"
LATER = 1_000_000_000       # nanoseconds that the index is younger than its files


def change(path: str, kind: ChangeKind = ChangeKind.WRITTEN) -> Change:
    return Change(path.encode(), kind, time.monotonic())


def index_of(top: Path, *names: str, mode: int = 0o100644, age: int = LATER) -> GitIndex:
    """An index that knows these files as they are; it is `age` nanoseconds younger than them."""
    index = GitIndex()
    newest = 0
    for name in names:
        status = os.lstat(top / name)
        index.set(IndexEntry.from_stat(name.encode(), mode, OID, status))
        newest = max(newest, status.st_mtime_ns)
    index.stamp = FileStamp(1, 1, newest + age)
    return index


def what(top: Path, index: GitIndex, name: str, kind: ChangeKind = ChangeKind.WRITTEN) -> What:
    return look(os.fsencode(top), change(name, kind), index).what


def test_a_file_as_the_index_has_it_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    assert what(tmp_path, index_of(tmp_path, "f"), "f") is What.SAME


def test_a_file_as_young_as_the_index_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    assert what(tmp_path, index_of(tmp_path, "f", age=0), "f") is What.FILE


def test_an_unknown_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    assert what(tmp_path, GitIndex(), "f") is What.FILE


def test_a_written_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    index = index_of(tmp_path, "f")
    (tmp_path / "f").write_bytes(b"longer")
    assert what(tmp_path, index, "f") is What.FILE


def test_a_changed_mode_needs_no_reading(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    index = index_of(tmp_path, "f")
    (tmp_path / "f").chmod(0o755)
    assert what(tmp_path, index, "f", ChangeKind.TOUCHED) is What.MODE


def test_a_new_time_stamp_alone_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    index = index_of(tmp_path, "f")
    os.utime(tmp_path / "f", (1, 1))
    assert what(tmp_path, index, "f", ChangeKind.TOUCHED) is What.FILE


def test_what_is_not_there_is_gone(tmp_path: Path) -> None:
    assert what(tmp_path, GitIndex(), "f") is What.GONE
    (tmp_path / "file").write_bytes(b"")
    assert what(tmp_path, GitIndex(), "file/below") is What.GONE


def test_links_directories_and_special_files(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert what(tmp_path, GitIndex(), "link") is What.LINK
    assert what(tmp_path, index_of(tmp_path, "link", mode=0o120000), "link") is What.SAME
    assert what(tmp_path, GitIndex(), "directory") is What.DIRECTORY
    assert what(tmp_path, GitIndex(), "fifo") is What.SPECIAL


@pytest.mark.parametrize(
    ("name", "target", "is_same"),
    [
        ("d/e/link", f"../../{OBJECT}", True),
        ("d/e/link", f"../{OBJECT}", False),
        ("d/e/link", OBJECT, False),
        ("link", OBJECT, True),
        ("link", f"../{OBJECT}", False),
        ("d/e/link", "../elsewhere", True),
    ],
)
def test_a_link_that_git_took_to_another_directory_is_not_as_it_should_be(
    tmp_path: Path, name: str, target: str, is_same: bool
) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).symlink_to(target)
    index = index_of(tmp_path, name, mode=0o120000)
    assert what(tmp_path, index, name, ChangeKind.APPEARED) is (What.SAME if is_same else What.LINK)


def test_a_submodule_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "module").mkdir()
    index = GitIndex()
    index.set(IndexEntry(b"module", 0o160000, OID))
    assert what(tmp_path, index, "module") is What.SAME


def test_a_path_that_cannot_be_looked_at_is_trouble_and_not_gone(tmp_path: Path) -> None:
    assert what(tmp_path, GitIndex(), "x" * 300) is What.TROUBLE


@pytest.mark.parametrize("step", ["rename", "write", "replace"])
def test_content_is_the_same_through_a_rename_only(tmp_path: Path, step: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    index = index_of(tmp_path, "f")
    entry = index.get(b"f")
    assert entry is not None
    match step:
        case "rename":
            path.rename(tmp_path / "g")
        case "write":
            path.write_bytes(b"y")
            os.utime(path, ns=(entry.mtime_ns + 1000, entry.mtime_ns + 1000))
            path.rename(tmp_path / "g")
        case "replace":
            (tmp_path / "g").write_bytes(b"x")
    assert is_same_content(index, entry, os.lstat(tmp_path / "g")) is (step == "rename")
