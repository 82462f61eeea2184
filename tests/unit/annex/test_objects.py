"""The object store."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from annexd.annex.objects import ObjectStore
from annexd.annex.state import AnnexState
from annexd.errors import ContentLocked, ContentMissing, NoSpace, UnsafeKey
from annexd.formats import hash_dirs
from annexd.formats.key import Key
from tests.support.annexes import key_of, make_annex, put
from tests.support.repositories import make_removable
from tests.unit.annex.helpers import git, git_annex


def modes(path: bytes) -> tuple[int, int]:
    """Permissions of an object and of its directory."""
    return stat.S_IMODE(os.stat(path).st_mode), stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode)


def lock_elsewhere(path: bytes, kind: str) -> subprocess.Popen[bytes]:
    """Another process that holds a lock on the file until its input closes."""
    code = (
        "import fcntl,sys\n"
        "f=open(sys.argv[1].encode('utf-8','surrogateescape'),'a+b')\n"
        f"fcntl.lockf(f, fcntl.{kind})\nprint('ok',flush=True)\nsys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", code, os.fsdecode(path)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ok\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Let the process go."""
    process.communicate(b"", timeout=10)


def test_content_that_is_put_is_found_with_its_size_and_without_write_permission(state: AnnexState) -> None:
    key = key_of(b"hello")
    path = state.store.put_bytes(b"hello", key, 0o644)
    assert state.store.locate(key) == path
    assert state.store.is_present(key)
    assert state.store.size(key) == 5
    assert list(state.store.all_keys()) == [key]
    assert modes(path) == (0o444, 0o555)


def test_an_executable_object_stays_executable(state: AnnexState) -> None:
    path = state.store.put_bytes(b"hello", key_of(b"hello"), 0o755)
    assert modes(path) == (0o555, 0o555)


def test_absent_content_is_not_found(state: AnnexState) -> None:
    key = key_of(b"nowhere")
    assert state.store.locate(key) is None
    assert state.store.size(key) is None
    assert not state.store.is_present(key)


def test_putting_content_twice_keeps_the_first(state: AnnexState) -> None:
    key = put(state, b"hello")
    inode = os.stat(state.store.locate(key) or b"").st_ino
    fd, temp = state.store.create_temp()
    os.write(fd, b"hello")
    os.close(fd)
    state.store.put_file(temp, key)
    assert os.stat(state.store.locate(key) or b"").st_ino == inode
    assert not os.path.exists(temp)


def test_a_file_is_taken_in_frozen(state: AnnexState) -> None:
    fd, temp = state.store.create_temp(0o755)
    os.write(fd, b"hello")
    os.close(fd)
    path = state.store.put_file(temp, key_of(b"hello"))
    assert modes(path) == (0o555, 0o555)
    assert not os.path.exists(temp)


def test_content_in_the_lower_case_directories_is_found_too(state: AnnexState) -> None:
    key = key_of(b"hello")
    name = key.file_name()
    place = b"/".join((state.layout.objects_dir, hash_dirs.lower(key), name))
    os.makedirs(place)
    Path(os.fsdecode(place + b"/" + name)).write_bytes(b"hello")
    assert state.store.locate(key) == place + b"/" + name
    assert state.store.put_bytes(b"hello", key) == place + b"/" + name


def test_a_bare_repository_uses_lower_case_directories(tmp_path: Path) -> None:
    with make_annex(tmp_path / "bare", bare=True) as bare:
        key = put(bare, b"hello")
        assert hash_dirs.lower(key) in (bare.store.locate(key) or b"")
        assert list(bare.store.all_keys()) == [key]
    make_removable(tmp_path)


def test_removed_content_takes_its_empty_directories_along(state: AnnexState) -> None:
    key = put(state, b"hello")
    state.store.remove(key)
    assert not state.store.is_present(key)
    assert os.listdir(state.layout.objects_dir) == []
    state.store.remove(key)


def test_bad_content_is_moved_aside(state: AnnexState) -> None:
    key = put(state, b"hello")
    path = state.store.quarantine_bad(key)
    assert path == state.layout.bad_object(key)
    assert not state.store.is_present(key)
    with pytest.raises(ContentMissing):
        state.store.quarantine_bad(key)


def test_in_a_shared_repository_the_group_keeps_access(tmp_path: Path) -> None:
    with make_annex(tmp_path / "shared", core_sharedrepository="group") as shared:
        path = shared.store.locate(put(shared, b"hello")) or b""
        assert modes(path) == (0o444, 0o2775)


def test_freeze_and_thaw_commands_run_with_the_path(tmp_path: Path) -> None:
    log = tmp_path / "log"
    freeze = f"echo freeze %path >> {log}"
    thaw = f"echo thaw %path >> {log}"
    with make_annex(tmp_path / "a") as annex:
        git(tmp_path / "a", "config", "annex.freezecontent-command", freeze)
        git(tmp_path / "a", "config", "annex.thawcontent-command", thaw)
        annex.reload_config()
        key = put(annex, b"hello")
        assert b"freeze" in log.read_bytes() and key.file_name() in log.read_bytes()
        annex.store.remove(key)
        assert b"thaw" in log.read_bytes()


@pytest.mark.parametrize(
    "key",
    [
        Key(b"SHA256E", b"a" * 300, 1),
        Key(b"URL", b"nul\0byte"),
        Key(b"WORM", b"&" * 130, 1, 1),
    ],
    ids=["long", "NUL", "long once escaped"],
)
def test_keys_that_are_no_file_names_are_refused(state: AnnexState, key: Key) -> None:
    with pytest.raises(UnsafeKey):
        state.store.locate(key)
    with pytest.raises(UnsafeKey):
        state.store.put_bytes(b"x", key)
    with pytest.raises(UnsafeKey):
        state.store.open_temp(key)


@pytest.mark.parametrize("name", [b"../../../../../x", b"/etc/passwd", b"..", b"a/../../b"])
def test_slashes_and_dots_in_a_key_do_not_leave_the_store(state: AnnexState, name: bytes) -> None:
    key = Key(b"URL", name)
    path = state.store.put_bytes(b"x", key)
    assert os.path.realpath(path).startswith(os.path.realpath(state.layout.objects_dir) + b"/")
    assert list(state.store.all_keys()) == [key]


def test_a_symlink_is_no_content(state: AnnexState, tmp_path: Path) -> None:
    key = key_of(b"hello")
    path = state.layout.object_path(key)
    os.makedirs(os.path.dirname(path))
    os.symlink(b"/etc/passwd", path)
    assert state.store.locate(key) is None


def test_a_download_continues_in_its_temporary_file(state: AnnexState) -> None:
    key = key_of(b"hello")
    fd, path = state.store.open_temp(key)
    os.write(fd, b"he")
    os.close(fd)
    fd, again = state.store.open_temp(key)
    assert again == path == state.layout.tmp_object(key)
    assert os.read(fd, 9) == b"he"
    os.close(fd)


def test_content_needs_the_reserved_space(tmp_path: Path) -> None:
    with make_annex(tmp_path / "a", annex_diskreserve="100pb") as annex:
        with pytest.raises(NoSpace):
            annex.store.check_reserve(1)
        annex.store.check_reserve(None)
        annex.store.check_reserve(5, already=5)


@pytest.mark.parametrize("version", [8, 10])
def test_a_drop_lock_is_refused_while_another_process_uses_the_content(tmp_path: Path, version: int) -> None:
    with make_annex(tmp_path / "a", version=version) as annex:
        git(tmp_path / "a", "config", "annex.version", str(version))
        key = put(annex, b"hello")
        path = annex.store.locate(key) or b""
        lock_file = path if version < 10 else path + b".lck"
        annex.store.lockdown.thaw_dir(os.path.dirname(path))
        user = lock_elsewhere(lock_file, "LOCK_SH")
        try:
            with pytest.raises(ContentLocked), annex.store.lock_for_drop(key):
                pass
            with annex.store.lock_shared(key) as found:
                assert found == path
        finally:
            end(user)
        with annex.store.lock_for_drop(key):
            pass
        assert modes(path) == (0o444, 0o555)
    make_removable(tmp_path)


def test_two_of_our_own_threads_cannot_both_drop(state: AnnexState) -> None:
    key = put(state, b"hello")
    with state.store.lock_for_drop(key), pytest.raises(ContentLocked), state.store.lock_for_drop(key):
        pass


def test_a_drop_under_its_lock_leaves_nothing_behind(state: AnnexState) -> None:
    key = put(state, b"hello")
    with state.store.lock_for_drop(key):
        state.store.remove(key)
    assert os.listdir(state.layout.objects_dir) == []


def test_locking_absent_content_says_so(state: AnnexState) -> None:
    with pytest.raises(ContentMissing), state.store.lock_for_drop(key_of(b"nowhere")):
        pass
    with pytest.raises(ContentMissing), state.store.lock_shared(key_of(b"nowhere")):
        pass


def test_git_annex_finds_the_content_lock_of_annexd(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    (annex_path / "f").write_bytes(b"hello")
    git_annex(annex_path, "add", "f")
    key = next(state.store.all_keys())
    with state.store.lock_shared(key):
        git_annex(annex_path, "drop", "--force", "f", status=1)
    git_annex(annex_path, "drop", "--force", "f")
    assert not state.store.is_present(key)


def test_a_store_is_usable_from_a_plain_layout(state: AnnexState) -> None:
    store = ObjectStore(state.layout, state.config)
    key = put(state, b"hello")
    assert store.is_present(key)
