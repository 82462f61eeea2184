"""Watching real directory trees."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annexd.system import inotify
from annexd.system.fswatch import FsEvent
from annexd.system.inotify import Inotify
from tests.support.eventually import eventually
from tests.support.watching import K, Told, write


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    (tmp_path / "root").mkdir()
    told = Told(tmp_path / "root")
    yield told
    told.watcher.stop()


@pytest.fixture
def watching(told: Told) -> Told:
    for name in (b"a", b"b", b"b/c", b".git"):
        os.mkdir(told.path(name))
    write(told.path(b"a/old"))
    told.watcher.start()
    return told


def test_the_bindings_of_watchdog_are_as_we_use_them() -> None:
    assert inotify.In.IN_CLOSE_WRITE == 8
    assert inotify.In.IN_Q_OVERFLOW == 0x4000
    instance = Inotify()
    try:
        with pytest.raises(FileNotFoundError):
            instance.add(b"/no/such/directory", inotify.In.IN_CREATE)
        assert instance.read() == []
        assert not os.get_inheritable(instance.fd)
    finally:
        instance.close()


def test_a_written_file_is_told_when_it_is_closed(watching: Told) -> None:
    fd = os.open(watching.path(b"b/c/f"), os.O_WRONLY | os.O_CREAT)
    watching.wait_for(FsEvent(K.APPEARED, b"b/c/f"))
    assert K.CLOSED not in {event.kind for event in watching.events}
    for _ in range(100):
        os.write(fd, b"x")
    os.close(fd)
    watching.wait_for(FsEvent(K.CLOSED, b"b/c/f"))
    assert len(watching.settle()) == 2, "writes must not be told one by one"


def test_a_quick_write_is_one_event(watching: Told) -> None:
    write(watching.path(b"a/f"))
    assert watching.settle() == [FsEvent(K.CLOSED, b"a/f")]


def test_a_changed_mode_is_told(watching: Told) -> None:
    os.chmod(watching.path(b"a/old"), 0o755)
    watching.wait_for(FsEvent(K.ATTRIB, b"a/old"))


def test_what_is_deleted_is_gone(watching: Told) -> None:
    os.unlink(watching.path(b"a/old"))
    os.rmdir(watching.path(b"a"))
    assert watching.settle() == [FsEvent(K.GONE, b"a/old"), FsEvent(K.DIR_GONE, b"a", True)]


def test_links_appear_although_nobody_closes_them(watching: Told) -> None:
    os.symlink(b"nowhere", watching.path(b"sym"))
    os.link(watching.path(b"a/old"), watching.path(b"hard"))
    watching.wait_for(FsEvent(K.APPEARED, b"sym"))
    watching.wait_for(FsEvent(K.APPEARED, b"hard"))


def test_a_rename_inside_the_tree_is_a_move(watching: Told) -> None:
    os.rename(watching.path(b"a/old"), watching.path(b"b/c/new"))
    assert watching.settle() == [FsEvent(K.MOVED, b"a/old", False, b"b/c/new")]


def test_a_directory_moved_inside_the_tree_takes_its_watches_along(watching: Told) -> None:
    os.rename(watching.path(b"b"), watching.path(b"a/b2"))
    watching.wait_for(FsEvent(K.MOVED, b"b", True, b"a/b2"))
    write(watching.path(b"a/b2/c/f"))
    watching.wait_for(FsEvent(K.CLOSED, b"a/b2/c/f"))
    assert watching.watcher.watch_count() == 4


def test_moves_out_of_and_into_the_tree(watching: Told, tmp_path: Path) -> None:
    outside = os.fsencode(tmp_path / "outside")
    os.rename(watching.path(b"a/old"), outside)
    watching.wait_for(FsEvent(K.GONE, b"a/old"))
    os.rename(outside, watching.path(b"back"))
    watching.wait_for(FsEvent(K.APPEARED, b"back"))


def test_a_directory_moved_out_is_no_longer_watched(watching: Told, tmp_path: Path) -> None:
    outside = os.fsencode(tmp_path / "outside")
    os.rename(watching.path(b"b"), outside)
    watching.wait_for(FsEvent(K.DIR_GONE, b"b", True))
    assert watching.watcher.watch_count() == 2
    watching.settle()
    write(outside + b"/c/f")
    assert watching.settle() == []
    os.rename(outside, watching.path(b"again"))
    for event in (
        FsEvent(K.DIR_APPEARED, b"again", True),
        FsEvent(K.DIR_APPEARED, b"again/c", True),
        FsEvent(K.APPEARED, b"again/c/f"),
    ):
        watching.wait_for(event)
    write(watching.path(b"again/c/g"))
    watching.wait_for(FsEvent(K.CLOSED, b"again/c/g"))


def test_a_new_directory_is_told_with_its_content(watching: Told) -> None:
    os.makedirs(watching.path(b"n/e/w"))
    write(watching.path(b"n/e/w/f"))
    eventually(lambda: b"n/e/w/f" in watching.of(K.APPEARED) + watching.of(K.CLOSED))
    assert {b"n", b"n/e", b"n/e/w"} <= set(watching.of(K.DIR_APPEARED))


def test_a_directory_made_anew_under_the_same_name_is_looked_at_again(watching: Told) -> None:
    for number in range(50):
        os.mkdir(watching.path(b"again"))
        write(watching.path(b"again/%d" % number))
        shutil.rmtree(watching.path(b"again"))
    os.mkdir(watching.path(b"again"))
    write(watching.path(b"again/last"))
    eventually(lambda: b"again/last" in watching.of(K.APPEARED) + watching.of(K.CLOSED))
    watching.settle()
    write(watching.path(b"again/later"))
    watching.wait_for(FsEvent(K.CLOSED, b"again/later"))


def test_directories_that_swap_names_keep_their_content(watching: Told) -> None:
    for _ in range(21):
        os.rename(watching.path(b"a"), watching.path(b"x"))
        os.rename(watching.path(b"b"), watching.path(b"a"))
        os.mkdir(watching.path(b"b"))
        os.rmdir(watching.path(b"b"))
        os.rename(watching.path(b"x"), watching.path(b"b"))
    watching.settle()
    write(watching.path(b"a/c/in c"))
    write(watching.path(b"b/in old a"))
    watching.wait_for(FsEvent(K.CLOSED, b"a/c/in c"))
    watching.wait_for(FsEvent(K.CLOSED, b"b/in old a"))
    assert watching.watcher.watch_count() == 4


def test_what_is_ignored_is_neither_told_nor_watched(watching: Told) -> None:
    os.mkdir(watching.path(b".git/objects"))
    write(watching.path(b".git/index"))
    assert watching.settle() == []
    assert watching.watcher.watch_count() == 4
    write(watching.path(b".git/new"))
    os.rename(watching.path(b".git/new"), watching.path(b"from git"))
    os.rename(watching.path(b"a/old"), watching.path(b".git/to git"))
    watching.wait_for(FsEvent(K.APPEARED, b"from git"))
    watching.wait_for(FsEvent(K.GONE, b"a/old"))


@pytest.mark.parametrize("name", [b"\xff\xfe invalid", b"n" * 255, b"new\nline", "ünïcode".encode(), b" "])
def test_names_of_all_kinds(watching: Told, name: bytes) -> None:
    os.mkdir(watching.path(b"d"))
    watching.settle()
    write(watching.path(b"d/" + name))
    watching.wait_for(FsEvent(K.CLOSED, b"d/" + name))
    os.mkdir(watching.path(name))
    write(watching.path(name + b"/f"))
    eventually(lambda: name + b"/f" in watching.of(K.CLOSED) + watching.of(K.APPEARED))


def test_links_to_directories_are_not_followed(watching: Told, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.symlink(os.fsencode(tmp_path / "elsewhere"), watching.path(b"link"))
    watching.wait_for(FsEvent(K.APPEARED, b"link"))
    assert watching.watcher.watch_count() == 4


def test_without_recursion_only_the_directory_itself_is_watched(told: Told) -> None:
    os.mkdir(told.path(b"d"))
    told.make(recursive=False).start()
    write(told.path(b"d/f"))
    os.mkdir(told.path(b"e"))
    assert told.settle() == [FsEvent(K.DIR_APPEARED, b"e", True)]
    assert told.watcher.watch_count() == 1


def test_a_root_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Told(tmp_path / "none").watcher.open()


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced", "parent moved"])
def test_a_lost_root_is_told_once_and_watched_again_when_it_is_back(tmp_path: Path, how: str) -> None:
    root = tmp_path / "parent" / "root"
    (root / "d").mkdir(parents=True)
    told = Told(root)
    told.make(root_check=0.02, root_retry=0.02).start()
    try:
        if how == "deleted":
            shutil.rmtree(root)
        elif how == "parent moved":
            (tmp_path / "parent").rename(tmp_path / "other")
        else:
            root.rename(tmp_path / "away")
        if how != "replaced":
            told.wait_for(FsEvent(K.DIR_GONE, b"", True))
        root.mkdir(parents=True)
        told.wait_for(FsEvent(K.DIR_GONE, b"", True))
        told.wait_for(FsEvent(K.DIR_APPEARED, b"", True))
        eventually(lambda: told.overflows == 1)
        write(told.path(b"f"))
        told.wait_for(FsEvent(K.CLOSED, b"f"))
        assert told.of(K.DIR_GONE).count(b"") == 1
        if how != "deleted":
            assert told.of(K.GONE) == []
    finally:
        told.watcher.stop()


def test_an_overflow_is_told_after_the_watches_are_in_order_again(told: Told) -> None:
    os.mkdir(told.path(b"old"))
    for name in (b"x", b"y"):
        write(told.path(name))
    told.watcher.open()
    for number in range(inotify.sysctl("max_queued_events") + 10):
        os.utime(told.path(b"x" if number % 2 else b"y"))
    os.makedirs(told.path(b"lost/deep"))
    shutil.rmtree(told.path(b"old"))
    told.watcher.start()
    eventually(lambda: told.overflows == 1)
    write(told.path(b"lost/deep/f"))
    told.wait_for(FsEvent(K.CLOSED, b"lost/deep/f"))
    assert told.watcher.watch_count() == 3


def limited(most: int) -> Callable[[Inotify, bytes, int], int]:
    real, seen = Inotify.add, set[int]()

    def add(self: Inotify, path: bytes, mask: int) -> int:
        wd = real(self, path, mask)
        if wd not in seen and len(seen) >= most:
            self.remove(wd)
            raise OSError(errno.ENOSPC, "no more watches", path)
        seen.add(wd)
        return wd

    return add


def test_at_the_limit_of_watches_it_says_so_once_and_has_everything_looked_at(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        os.mkdir(told.path(b"%d" % number))
    with monkeypatch.context() as patch:
        patch.setattr(Inotify, "add", limited(5))
        told.make(fallback_interval=0.02).start()
        eventually(lambda: told.overflows >= 2)
        assert len(told.limits) == 1
        assert "sysctl fs.inotify.max_user_watches=" in told.watcher.limit_advice()
        os.makedirs(told.path(b"new/er"))
        write(told.path(b"new/er/f"))
        eventually(lambda: b"new/er/f" in told.of(K.APPEARED) or told.overflows >= 4)
    eventually(lambda: told.watcher.watch_count() == 13)
    eventually(lambda: told.watcher.limit_advice() == "")
    count = told.overflows
    write(told.path(b"9/f"))
    told.wait_for(FsEvent(K.CLOSED, b"9/f"))
    assert told.overflows <= count + 1


def test_without_any_inotify_instance_it_falls_back_too(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(inotify, "_init", lambda: -1)
        patch.setattr(inotify.ctypes, "get_errno", lambda: errno.EMFILE)
        told.make(fallback_interval=0.02).start()
        eventually(lambda: told.overflows >= 2)
        assert told.limits == [b""]
        assert "max_user_instances" in told.watcher.limit_advice()
    eventually(lambda: told.watcher.watch_count() == 1)
    write(told.path(b"f"))
    told.wait_for(FsEvent(K.CLOSED, b"f"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_becomes_readable_is_watched_from_then_on(told: Told) -> None:
    os.mkdir(told.path(b"secret"), 0o000)
    told.watcher.start()
    assert told.limits == []
    os.chmod(told.path(b"secret"), 0o755)
    told.wait_for(FsEvent(K.DIR_APPEARED, b"secret", True))
    write(told.path(b"secret/f"))
    told.wait_for(FsEvent(K.CLOSED, b"secret/f"))


def test_a_lone_change_is_told_within_milliseconds(watching: Told) -> None:
    delays = []
    for number in range(50):
        name = b"a/%d" % number
        write(watching.path(name))
        closed = time.perf_counter()
        watching.wait_for(FsEvent(K.CLOSED, name))
        delays.append(watching.times[name] - closed)
    assert sorted(delays)[25] < 0.02, "0.0001 s on an idle machine"


def test_stopping_ends_the_thread_and_gives_the_watches_back(told: Told) -> None:
    before = len(os.listdir("/proc/self/fd"))
    other = Told(Path(os.fsdecode(told.root)))
    other.watcher.start()
    other.watcher.stop()
    assert other.watcher.watch_count() == 0
    assert len(os.listdir("/proc/self/fd")) == before
