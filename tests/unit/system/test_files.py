"""Files: atomic, hashed while copied, asked for writers."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annexd.errors import AnnexError
from annexd.system import files


@pytest.fixture
def top(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path)


def content(path: bytes) -> bytes:
    return Path(os.fsdecode(path)).read_bytes()


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_as_a_whole(top: bytes, durable: bool) -> None:
    path = top + b"/f"
    files.write_atomically(path, b"old")
    files.write_atomically(path, b"new", durable=durable)
    assert content(path) == b"new"
    assert os.listdir(top) == [b"f"]


def test_the_mode_is_less_the_umask(top: bytes) -> None:
    before = os.umask(0o027)
    try:
        files.write_atomically(top + b"/f", b"")
    finally:
        os.umask(before)
    assert os.stat(top + b"/f").st_mode & 0o777 == 0o640


def test_a_failed_write_leaves_nothing_behind(top: bytes) -> None:
    os.mkdir(top + b"/d")
    os.mkdir(top + b"/d/in the way")
    with pytest.raises(OSError):
        files.write_atomically(top + b"/d", b"x")
    assert os.listdir(top) == [b"d"]


def test_the_temporary_file_may_lie_elsewhere(top: bytes) -> None:
    os.mkdir(top + b"/tmp")
    os.mkdir(top + b"/journal")
    files.write_atomically(top + b"/journal/a", b"x", temp_dir=top + b"/tmp")
    assert content(top + b"/journal/a") == b"x"


def test_reading_is_bounded(top: bytes) -> None:
    files.write_atomically(top + b"/f", b"12345")
    assert files.read_file(top + b"/f", limit=5) == b"12345"
    with pytest.raises(AnnexError, match="more than the 4"):
        files.read_file(top + b"/f", limit=4)


def test_files_of_proc_that_claim_to_be_empty_are_read_whole() -> None:
    assert b"Name:" in files.read_file(b"/proc/self/status")


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([0, 1, files.SMALL - 1, files.SMALL, files.SMALL + 1, 3 * files.SMALL + 7]), st.integers(0, 255))
def test_a_copy_has_all_bytes_and_their_hash(size: int, seed: int) -> None:
    data = bytes((seed, 7, 255 - seed)) * (size // 3) + bytes(size % 3)
    source, target = os.memfd_create("s"), os.memfd_create("t")
    try:
        os.write(source, data)
        os.lseek(source, 0, os.SEEK_SET)
        hasher, told = hashlib.sha256(), list[int]()
        assert files.copy_with_hash(source, target, hasher, told.append) == size
        assert os.pread(target, size + 1, 0) == data
        assert hasher.digest() == hashlib.sha256(data).digest()
        assert told == sorted(told)
        assert told[-1] == size
    finally:
        os.close(source)
        os.close(target)


def test_short_reads_are_not_the_end(top: bytes) -> None:
    reader, writer = os.pipe()

    def feed() -> None:
        for _ in range(300):
            os.write(writer, b"x" * 1000)
        os.close(writer)

    feeder = threading.Thread(target=feed)
    feeder.start()
    target, hasher = os.memfd_create("t"), hashlib.sha256()
    assert files.copy_with_hash(reader, target, hasher) == 300_000
    assert hasher.digest() == hashlib.sha256(b"x" * 300_000).digest()
    feeder.join()
    os.close(reader)
    os.close(target)


def test_a_failing_write_ends_the_copy_and_its_thread(top: bytes) -> None:
    source = os.memfd_create("s")
    os.truncate(source, 10 << 20)
    target = os.open("/dev/full", os.O_WRONLY)
    before = threading.active_count()
    with pytest.raises(OSError) as caught:
        files.copy_with_hash(source, target, hashlib.sha256())
    assert caught.value.errno == errno.ENOSPC
    assert threading.active_count() == before


def test_an_open_writer_is_seen(top: bytes) -> None:
    path = top + b"/f"
    with open(path, "wb"):
        assert files.has_open_writer(path)
    assert not files.has_open_writer(path)
    with open(path, "rb"):
        assert not files.has_open_writer(path)


def test_only_regular_files_have_writers(top: bytes) -> None:
    os.mkfifo(top + b"/fifo")
    assert not files.has_open_writer(top + b"/fifo")
    os.symlink(b"f", top + b"/link")
    with pytest.raises(OSError):
        files.has_open_writer(top + b"/link")
    with pytest.raises(FileNotFoundError):
        files.has_open_writer(top + b"/none")


def test_a_writer_that_comes_during_the_question_is_no_harm(top: bytes) -> None:
    path = top + b"/f"
    Path(os.fsdecode(path)).touch()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            os.close(os.open(path, os.O_WRONLY))

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(500):
        files.has_open_writer(path)
    stop.set()
    writer.join()


def test_where_leases_cannot_be_had_open_files_are_searched(top: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETLEASE:
            raise OSError(errno.EINVAL, "no leases here")
        return 0

    monkeypatch.setattr(files.fcntl, "fcntl", refuse)
    path = top + b"/f"
    with open(path, "wb"):
        assert files.has_open_writer(path)
    with open(path, "rb"):
        assert not files.has_open_writer(path)


def test_directories_are_made_and_remembered(top: bytes) -> None:
    maker = files.DirMaker()
    maker.ensure(top + b"/a/b/c")
    maker.ensure(top + b"/a/b/c")
    assert os.path.isdir(top + b"/a/b/c")
    os.removedirs(top + b"/a/b/c")
    maker.forget()
    maker.ensure(top + b"/a/b/c")
    assert os.path.isdir(top + b"/a/b/c")
    Path(os.fsdecode(top + b"/file")).touch()
    with pytest.raises(OSError):
        maker.ensure(top + b"/file")


def test_a_parent_removed_behind_our_back_is_made_again(top: bytes) -> None:
    maker = files.DirMaker()
    maker.ensure(top + b"/a/b")
    os.removedirs(top + b"/a/b")
    maker.ensure(top + b"/a/c")
    assert os.path.isdir(top + b"/a/c")


def test_the_rest_of_the_system_calls_work_here(top: bytes) -> None:
    fd = os.open(top + b"/f", os.O_RDWR | os.O_CREAT)
    other = os.open(top + b"/g", os.O_RDWR | os.O_CREAT)
    try:
        files.fdatasync(fd)
        files.sync_filesystem(fd)
        files.sync_directory(top)
        assert files.reflink(fd, other) in (True, False)
    finally:
        os.close(fd)
        os.close(other)
    assert files.free_space(top) > 0
    with pytest.raises(OSError):
        files.sync_filesystem(-1)
