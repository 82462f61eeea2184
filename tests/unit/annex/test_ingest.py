"""Files become keys with content."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from annexd.annex import ingest as ingest_module
from annexd.annex.ingest import SMALL, AddAs
from annexd.annex.state import AnnexState
from annexd.errors import ContentChanged, ContentError, NoSpace
from annexd.formats.pointer import link_target, pointer_for
from annexd.system import files, rename
from tests.support.annexes import content, key_of, make_annex
from tests.unit.annex.content_helpers import ingest, read, write
from tests.unit.annex.helpers import git_annex

BIG = b"0123456789abcdef" * (SMALL // 8)
SIZES = pytest.mark.parametrize("data", [b"small", BIG], ids=["small", "big"])


def scratch(state: AnnexState) -> list[bytes]:
    """What lies in the scratch directory."""
    place = state.layout.annexd_dir + b"/tmp"
    return os.listdir(place) if os.path.isdir(place) else []


@SIZES
def test_an_unlocked_file_stays_and_its_content_is_an_object_of_its_own(state: AnnexState, data: bytes) -> None:
    place = write(state, b"d/f.bin", data)
    before = os.lstat(place)
    done = ingest(state, b"d/f.bin")
    assert done.key == key_of(data, b".bin")
    assert (done.mode, done.content, done.size) == (0o100644, pointer_for(done.key), len(data))
    assert os.lstat(place) == before == done.stat
    assert content(state, done.key) == data
    path = state.store.locate(done.key) or b""
    assert os.stat(path).st_ino != before.st_ino
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o444
    assert scratch(state) == []


@SIZES
def test_a_locked_file_becomes_a_symlink_and_its_inode_the_object(state: AnnexState, data: bytes) -> None:
    place = write(state, b"d/e/f", data)
    inode = os.lstat(place).st_ino
    done = ingest(state, b"d/e/f", AddAs.LOCKED)
    assert done.mode == 0o120000
    assert done.content == link_target(b"d/e/f", state.layout.link_object_path(done.key)) == os.readlink(place)
    assert read(state, b"d/e/f") == data
    path = state.store.locate(done.key) or b""
    assert os.stat(path).st_ino == inode
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o444
    assert done.stat == os.lstat(place)
    assert scratch(state) == []


def test_the_executable_bit_is_kept(state: AnnexState) -> None:
    write(state, b"a", b"tool", 0o755)
    write(state, b"b", b"tool two", 0o755)
    assert ingest(state, b"a").mode == 0o100755
    link = ingest(state, b"b", AddAs.LOCKED)
    assert stat.S_IMODE(os.stat(state.store.locate(link.key) or b"").st_mode) == 0o555


@SIZES
@pytest.mark.parametrize("add_as", AddAs)
def test_a_second_file_with_the_same_content_shares_the_object(state: AnnexState, data: bytes, add_as: AddAs) -> None:
    write(state, b"a", data)
    write(state, b"b", data)
    assert ingest(state, b"a", add_as).key == ingest(state, b"b", add_as).key
    assert read(state, b"b") == data
    assert len(list(state.store.all_keys())) == 1


def test_an_empty_file_is_marked_as_such(state: AnnexState) -> None:
    write(state, b"empty", b"")
    done = ingest(state, b"empty", AddAs.LOCKED)
    assert done.is_empty
    assert content(state, done.key) == b""


def test_worm_keys_carry_path_size_and_time(state: AnnexState) -> None:
    place = write(state, b"d/a b", b"x")
    os.utime(place, ns=(0, 1_600_000_000_999_999_999))
    assert bytes(ingest(state, b"d/a b", name=b"WORM").key) == b"WORM-s1-m1600000000--d/a,32b"


@pytest.mark.parametrize("name", [b"SHA256E", b"SHA1", b"MD5E", b"BLAKE2B512", b"SHA3_512E"])
def test_git_annex_makes_the_same_keys(state: AnnexState, annex_path: Path, annex_oracle: Path, name: bytes) -> None:
    write(state, b"a.tar.gz", BIG)
    shown = git_annex(annex_path, "calckey", f"--backend={name.decode()}", "a.tar.gz").strip()
    assert bytes(ingest(state, b"a.tar.gz", name=name).key) == shown


@pytest.mark.parametrize(
    "name",
    [b"new\nline", b"latin1-\xe9", b"x" * 255, b"-dash", "schön".encode()],
    ids=["newline", "latin1", "255", "dash", "utf8"],
)
@pytest.mark.parametrize("add_as", AddAs)
def test_any_name_can_be_added(state: AnnexState, name: bytes, add_as: AddAs) -> None:
    write(state, name, b"content of " + name)
    done = ingest(state, name, add_as)
    assert content(state, done.key) == b"content of " + name == read(state, name)


def grow(place: bytes) -> None:
    """Another program appends."""
    with open(place, "ab") as file:
        file.write(b"more")


def rewrite(place: bytes) -> None:
    """Another program writes other bytes of the same number in place."""
    size = os.stat(place).st_size
    with open(place, "r+b") as file:
        file.write(b"#" * size)
    os.utime(place, ns=(0, os.stat(place).st_mtime_ns + 1))  # clocks of file systems tick slowly


def replace(place: bytes) -> None:
    """Another program replaces the file, keeping size and time."""
    before = os.stat(place)
    with open(place + b".new", "wb") as file:
        file.write(b"#" * before.st_size)
    os.utime(place + b".new", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.rename(place + b".new", place)


def swap_for_link(place: bytes) -> None:
    """Another program puts a symlink there."""
    os.unlink(place)
    os.symlink(b"/etc/passwd", place)


CHANGES = pytest.mark.parametrize(
    "change", [grow, rewrite, replace, swap_for_link, os.unlink], ids=lambda f: f.__name__
)


@SIZES
@CHANGES
@pytest.mark.parametrize("add_as", AddAs)
def test_a_change_after_reading_is_noticed_and_the_new_file_kept(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, data: bytes, change: Callable[[bytes], None], add_as: AddAs
) -> None:
    place = write(state, b"f", data)
    original = ingest_module._Job.key

    def key_after_change(job: ingest_module._Job, digest: str | None) -> object:
        change(place)
        after.append(
            os.path.lexists(place)
            and (os.lstat(place).st_ino, os.readlink(place) if os.path.islink(place) else read(state, b"f"))
        )
        return original(job, digest)

    after: list[object] = []
    monkeypatch.setattr(ingest_module._Job, "key", key_after_change)
    with pytest.raises(ContentChanged):
        ingest(state, b"f", add_as)
    now = os.path.lexists(place) and (
        os.lstat(place).st_ino,
        os.readlink(place) if os.path.islink(place) else read(state, b"f"),
    )
    assert now == after[0]
    assert scratch(state) == []
    for key in state.store.all_keys():
        assert hashlib.sha256(content(state, key) or b"").hexdigest().encode() == key.name.partition(b".")[0]


@pytest.mark.parametrize("change", [replace, swap_for_link], ids=lambda f: f.__name__)
def test_what_takes_the_files_name_in_the_last_moment_before_it_is_locked_stays(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, change: Callable[[bytes], None]
) -> None:
    place, original = write(state, b"f", b"data"), rename.exchange

    def exchange_after_change(one: bytes, other: bytes) -> bool:
        if not after:
            change(place)
            after.append(os.lstat(place).st_ino)
        return original(one, other)

    after: list[int] = []
    monkeypatch.setattr(rename, "exchange", exchange_after_change)
    with pytest.raises(ContentChanged):
        ingest(state, b"f", AddAs.LOCKED)
    assert [os.lstat(place).st_ino] == after
    assert scratch(state) == []


@pytest.mark.parametrize("add_as", AddAs)
def test_a_file_that_changed_gets_its_write_bits_back(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, add_as: AddAs
) -> None:
    place = write(state, b"f", b"data", 0o664)
    original = ingest_module._Job.key

    def key_after_change(job: ingest_module._Job, digest: str | None) -> object:
        grow(place)
        return original(job, digest)

    monkeypatch.setattr(ingest_module._Job, "key", key_after_change)
    with pytest.raises(ContentChanged):
        ingest(state, b"f", add_as)
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o664


def test_what_is_no_regular_file_is_refused(state: AnnexState, tmp_path: Path) -> None:
    place = write(state, b"f", b"x")
    os.unlink(place)
    os.mkfifo(place)
    with pytest.raises(ContentError):
        ingest(state, b"f")
    with pytest.raises(ContentError):
        ingest(state, b".")
    with pytest.raises(ContentChanged):
        ingest(state, b"nowhere")


def test_a_renamed_file_is_not_read_again(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(state, b"old.txt", b"data")
    key = ingest(state, b"old.txt").key
    os.rename(place, place + b".bin")
    monkeypatch.setattr(ingest_module._Job, "open", None)
    done = ingest(state, b"old.txt.bin", known=key)
    assert (done.key, done.content) == (key, pointer_for(key))


def test_a_key_whose_content_is_gone_is_not_taken_for_known(state: AnnexState) -> None:
    write(state, b"f", b"data")
    assert ingest(state, b"f", known=key_of(b"else", b".x")).key == key_of(b"data")


def test_a_key_is_known_only_of_the_file_that_was_looked_at(state: AnnexState) -> None:
    place = write(state, b"f", b"data")
    seen, key = os.lstat(place), ingest(state, b"f").key
    os.rename(write(state, b"newer", b"atad"), place)
    done = ingest(state, b"f", known=key, seen=seen)
    assert (done.key, done.stat) == (key_of(b"atad"), os.lstat(place))
    assert content(state, done.key) == b"atad"


def test_with_annex_thin_the_file_and_the_object_are_one(tmp_path: Path) -> None:
    with make_annex(tmp_path / "a", annex_thin="true") as annex:
        place = write(annex, b"f", BIG)
        done = ingest(annex, b"f")
        path = annex.store.locate(done.key) or b""
        assert os.stat(path).st_ino == os.stat(place).st_ino
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o644
        assert done.stat == os.lstat(place)


@pytest.mark.parametrize("add_as", AddAs)
def test_without_hard_links_content_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add_as: AddAs) -> None:
    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with make_annex(tmp_path / "a", annex_thin="true") as annex:
        write(annex, b"f", b"data")
        monkeypatch.setattr(os, "link", no_link)
        done = ingest(annex, b"f", add_as)
        assert content(annex, done.key) == b"data" == read(annex, b"f")


def test_a_clone_of_the_blocks_is_used_where_the_file_system_has_it(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(source: int, target: int) -> bool:
        os.write(target, os.pread(source, len(BIG), 0))
        os.lseek(target, 0, os.SEEK_SET)
        return True

    monkeypatch.setattr(files, "reflink", clone)
    monkeypatch.setattr(files, "copy_with_hash", None)
    write(state, b"f", BIG)
    assert content(state, ingest(state, b"f").key) == BIG


def test_a_large_file_does_not_use_up_the_reserved_space(tmp_path: Path) -> None:
    with make_annex(tmp_path / "a", annex_diskreserve="100pb") as annex:
        write(annex, b"f", BIG)
        with pytest.raises(NoSpace):
            ingest(annex, b"f")
        assert read(annex, b"f") == BIG
