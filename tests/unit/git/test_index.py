"""The index with real files beside it: what git status says afterwards, locks, and formats left to git."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from annexd.errors import FormatError, IndexLocked, MergeConflict, UnsupportedIndex
from annexd.git.index import GitIndex, IndexCache, IndexEntry, stat_matches
from annexd.git.index_lock import IndexLock, remove_stale_lock
from annexd.git.object_store import GitObjects
from annexd.git.objects import BLOB, Oid
from annexd.git.plumbing_index import PlumbingIndex
from annexd.git.repository import GitRepository
from annexd.threads.deadline import Deadline
from tests.support.repositories import git

LONG_AGO = 1_600_000_000


@pytest.fixture
def repo(git_repo: Path) -> GitRepository:
    for name in ("a", "dir/b", "dir/deep/c", "dir-x", "z"):
        put(git_repo, name, name)
    git(git_repo, "add", "-A")
    git(git_repo, "commit", "-q", "-m", "x")
    return GitRepository.discover(os.fsencode(git_repo))


@pytest.fixture
def objects(repo: GitRepository) -> GitObjects:
    return GitObjects(repo)


def put(top: Path, name: str, content: str, *, old: bool = True) -> None:
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if old:
        os.utime(path, (LONG_AGO, LONG_AGO))


def stage(repo: GitRepository, index: GitIndex, objects: GitObjects, name: bytes) -> None:
    assert repo.work_tree is not None
    path = os.path.join(repo.work_tree, name)
    with open(path, "rb") as file:
        oid = objects.add(BLOB, file.read())
    status = os.lstat(path)
    index.set(IndexEntry.from_stat(name, 0o100755 if status.st_mode & 0o100 else 0o100644, oid, status))


def save(repo: GitRepository, index: GitIndex) -> None:
    assert repo.work_tree is not None
    with IndexLock.acquire(repo) as lock:
        index.smudge_racy(repo.work_tree)
        index.written(lock.commit(index.serialise()))


def test_what_git_wrote_is_written_the_same(repo: GitRepository) -> None:
    with open(repo.index_path, "rb") as file:
        data = file.read()
    assert GitIndex.read(repo.index_path).serialise() == data


def test_entries_are_what_git_lists(repo: GitRepository) -> None:
    index = GitIndex.read(repo.index_path)
    listing = repo.run(b"ls-files", b"--stage", b"-z").split(b"\0")[:-1]
    assert [b"%o %b %d\t%b" % (e.mode, e.oid.hex().encode(), e.stage, e.path) for e in index.entries()] == listing
    for entry in index.entries():
        assert repo.work_tree is not None
        assert stat_matches(entry, os.lstat(os.path.join(repo.work_tree, entry.path)))


def test_a_staged_file_is_clean_for_git(git_repo: Path, repo: GitRepository, objects: GitObjects) -> None:
    put(git_repo, "dir/new", "hello")
    put(git_repo, "a", "changed")
    (git_repo / "a").chmod(0o755)
    (git_repo / "z").unlink()
    index = GitIndex.read(repo.index_path)
    stage(repo, index, objects, b"dir/new")
    stage(repo, index, objects, b"a")
    index.remove(b"z")
    tree = index.write_tree(objects)
    objects.flush()
    save(repo, index)
    assert git(git_repo, "status", "--porcelain") == b"M  a\nA  dir/new\nD  z\n"
    assert git(git_repo, "diff-files", "--raw") == b""
    assert git(git_repo, "write-tree").strip() == tree.hex().encode()
    assert git(git_repo, "fsck", "--strict", "--no-dangling") == b""
    assert b"size: 5" in git(git_repo, "ls-files", "--stage", "--debug", "dir/new")


def test_the_debug_listing_is_the_same_as_after_git_add(
    git_repo: Path, repo: GitRepository, objects: GitObjects
) -> None:
    put(git_repo, "dir/new", "hello")
    index = GitIndex.read(repo.index_path)
    stage(repo, index, objects, b"dir/new")
    objects.flush()
    save(repo, index)
    ours = git(git_repo, "ls-files", "--stage", "--debug")
    git(git_repo, "rm", "-q", "--cached", "dir/new")
    git(git_repo, "add", "dir/new")
    assert git(git_repo, "ls-files", "--stage", "--debug") == ours


def test_a_file_replaces_a_directory_and_the_reverse(repo: GitRepository, objects: GitObjects) -> None:
    index = GitIndex.read(repo.index_path)
    oid = objects.add(BLOB, b"x")
    index.set(IndexEntry(b"dir", 0o100644, oid))
    index.set(IndexEntry(b"a/below/it", 0o100644, oid))
    assert list(index.paths()) == [b"a/below/it", b"dir", b"dir-x", b"z"]
    assert index.get(b"dir/b") is None


def test_a_directory_is_removed_with_all_in_it(repo: GitRepository) -> None:
    index = GitIndex.read(repo.index_path)
    assert index.remove_tree(b"dir") == [b"dir/b", b"dir/deep/c"]
    assert list(index.paths()) == [b"a", b"dir-x", b"z"]
    assert not index.remove(b"dir/b")


def test_removing_everything_gives_the_empty_tree(repo: GitRepository, objects: GitObjects) -> None:
    index = GitIndex.read(repo.index_path)
    index.remove_tree(b"")
    tree = index.write_tree(objects)
    objects.flush()
    save(repo, index)
    assert repo.run(b"write-tree").strip() == tree.hex().encode()


def test_unmerged_paths_are_kept_and_hinder_a_tree(git_repo: Path, objects: GitObjects) -> None:
    git(git_repo, "checkout", "-q", "-b", "other")
    put(git_repo, "a", "theirs")
    git(git_repo, "commit", "-qam", "theirs")
    git(git_repo, "checkout", "-q", "-")
    put(git_repo, "a", "ours")
    git(git_repo, "commit", "-qam", "ours")
    subprocess.run(["git", "merge", "-q", "other"], cwd=git_repo, capture_output=True)
    repo = GitRepository.discover(os.fsencode(git_repo))
    with open(repo.index_path, "rb") as file:
        data = file.read()
    index = GitIndex.read(repo.index_path)
    assert index.unmerged_paths() == [b"a"]
    assert sorted(index.stages(b"a")) == [1, 2, 3]
    assert index.get(b"a") is None
    with pytest.raises(MergeConflict):
        index.write_tree(objects)
    before = git(git_repo, "ls-files", "--stage")
    save(repo, index)
    assert git(git_repo, "ls-files", "--stage") == before
    assert len(data) > 100
    index.set(IndexEntry(b"a", 0o100644, index.stages(b"a")[2].oid))
    assert index.unmerged_paths() == []
    tree = index.write_tree(objects)
    objects.flush()
    save(repo, index)
    assert git(git_repo, "write-tree").strip() == tree.hex().encode()


def test_an_intended_file_is_not_in_the_tree(git_repo: Path, repo: GitRepository, objects: GitObjects) -> None:
    put(git_repo, "dir/planned", "x")
    git(git_repo, "add", "-N", "dir/planned")
    expected = git(git_repo, "write-tree").strip()
    index = GitIndex.read(repo.index_path)
    assert index.write_tree(objects).hex().encode() == expected
    put(git_repo, "dir/b", "changed")
    stage(repo, index, objects, b"dir/b")
    tree = index.write_tree(objects)
    objects.flush()
    save(repo, index)
    assert git(git_repo, "write-tree").strip() == tree.hex().encode()
    assert b" A dir/planned" in git(git_repo, "status", "--porcelain")


def test_flags_of_entries_stay(git_repo: Path, repo: GitRepository) -> None:
    git(git_repo, "update-index", "--assume-unchanged", "a")
    git(git_repo, "update-index", "--skip-worktree", "z")
    index = GitIndex.read(repo.index_path)
    index.remove(b"dir-x")
    save(repo, index)
    assert git(git_repo, "ls-files", "-v").splitlines() == [b"h a", b"H dir/b", b"H dir/deep/c", b"S z"]


def test_a_file_changed_in_the_same_second_is_seen_by_git(
    git_repo: Path, repo: GitRepository, objects: GitObjects
) -> None:
    put(git_repo, "young", "one", old=False)
    index = GitIndex.read(repo.index_path)
    stage(repo, index, objects, b"young")
    objects.flush()
    save(repo, index)
    assert b"young" in index.young_paths()
    status = (git_repo / "young").stat()
    (git_repo / "young").write_text("two")
    # The same second to git, which compares seconds; but another nanosecond.
    os.utime(git_repo / "young", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert index.smudge_racy(os.fsencode(git_repo)) == [b"young"]
    save(repo, index)
    os.utime(repo.index_path, (LONG_AGO * 2, LONG_AGO * 2))  # as if written much later
    assert git(git_repo, "diff-files", "--name-only") == b"young\n"


def test_entries_are_settled_once_the_index_is_younger(
    git_repo: Path, repo: GitRepository, objects: GitObjects
) -> None:
    put(git_repo, "young", "one", old=False)
    index = GitIndex.read(repo.index_path)
    stage(repo, index, objects, b"young")
    objects.flush()
    save(repo, index)
    later = os.stat(git_repo / "young").st_mtime + 5
    os.utime(repo.index_path, (later, later))
    index.written(os.stat(repo.index_path))
    assert index.young_paths() == []
    assert GitIndex.read(repo.index_path).young_paths() == []
    entry = index.get(b"young")
    assert entry is not None
    assert not index.is_racy(entry)


def test_young_files_are_found_when_an_index_is_read(git_repo: Path, repo: GitRepository) -> None:
    put(git_repo, "young", "one", old=False)
    git(git_repo, "add", "young")
    assert GitIndex.read(repo.index_path).young_paths() == [b"young"]


@pytest.mark.parametrize("change", ["size", "mtime", "mode", "type", "inode"])
def test_a_changed_file_does_not_match_its_entry(git_repo: Path, repo: GitRepository, change: str) -> None:
    path = git_repo / "a"
    entry = GitIndex.read(repo.index_path).get(b"a")
    assert entry is not None
    match change:
        case "size":
            path.write_text("longer")
            os.utime(path, (LONG_AGO, LONG_AGO))
        case "mtime":
            os.utime(path, ns=(LONG_AGO, LONG_AGO * 10**9 + 1))
        case "mode":
            path.chmod(0o755)
        case "type":
            path.unlink()
            path.symlink_to("a")
        case "inode":
            (git_repo / "copy").write_text("a")
            os.replace(git_repo / "copy", path)
            os.utime(path, (LONG_AGO, LONG_AGO))
    assert not stat_matches(entry, os.lstat(path))


def test_an_absent_index_is_empty(git_repo: Path) -> None:
    index = GitIndex.read(os.fsencode(git_repo / ".git/index"))
    assert len(index) == 0


@pytest.mark.parametrize("damage", ["short", "magic", "checksum", "cut"])
def test_a_damaged_index_is_a_format_error(repo: GitRepository, damage: str) -> None:
    with open(repo.index_path, "rb") as file:
        data = bytearray(file.read())
    match damage:
        case "short":
            data = data[:10]
        case "magic":
            data[0] = 0
        case "checksum":
            data[20] ^= 1
        case "cut":
            data = data[: len(data) // 2]
    with open(repo.index_path, "wb") as file:
        file.write(data)
    with pytest.raises(FormatError):
        GitIndex.read(repo.index_path)


def test_an_index_without_checksum_is_read(git_repo: Path, repo: GitRepository) -> None:
    with open(repo.index_path, "r+b") as file:
        file.seek(-20, os.SEEK_END)
        file.write(bytes(20))
    assert len(GitIndex.read(repo.index_path)) == 5


def test_the_cache_reads_only_what_changed(git_repo: Path, repo: GitRepository) -> None:
    cache = IndexCache(repo.index_path)
    first = cache.current()
    assert cache.current() is first
    put(git_repo, "new", "x")
    git(git_repo, "add", "new")
    second = cache.current()
    assert second is not first
    assert b"new" in second
    cache.forget()
    assert cache.current() is not second


def test_our_own_write_keeps_the_cached_index(git_repo: Path, repo: GitRepository, objects: GitObjects) -> None:
    cache = IndexCache(repo.index_path)
    index = cache.current()
    put(git_repo, "new", "x")
    stage(repo, index, objects, b"new")
    objects.flush()
    save(repo, index)
    assert cache.current() is index


def test_a_tree_that_the_index_names_but_nobody_has_is_built_again(
    git_repo: Path, repo: GitRepository, objects: GitObjects
) -> None:
    index = GitIndex.read(repo.index_path)
    tree = git(git_repo, "write-tree").strip().decode()
    os.unlink(git_repo / ".git/objects" / tree[:2] / tree[2:])
    index.set(IndexEntry(b"extra", 0o100644, objects.add(BLOB, b"x")))
    new = index.write_tree(objects)
    objects.flush()
    save(repo, index)
    assert git(git_repo, "write-tree").strip() == new.hex().encode()
    git(git_repo, "ls-tree", "-r", new.hex())


# -- lock


def test_git_cannot_change_the_index_while_we_hold_the_lock(git_repo: Path, repo: GitRepository) -> None:
    put(git_repo, "new", "x")
    with IndexLock.acquire(repo):
        done = subprocess.run(["git", "add", "new"], cwd=git_repo, capture_output=True)
        assert b"index.lock" in done.stderr
    git(git_repo, "add", "new")


def test_a_persons_lock_is_respected(repo: GitRepository) -> None:
    lock = repo.index_path + b".lock"
    Path(os.fsdecode(lock)).write_bytes(b"")
    with pytest.raises(IndexLocked):
        IndexLock.acquire(repo, Deadline(0.05))
    assert os.path.exists(lock)


def test_waiting_for_the_lock_ends_when_it_is_free(repo: GitRepository) -> None:
    first = IndexLock.acquire(repo)
    timer = threading.Timer(0.05, first.release)
    timer.start()
    with IndexLock.acquire(repo, Deadline(10)):
        pass
    timer.join()


def test_a_lock_that_a_dead_annexd_left_is_removed(repo: GitRepository) -> None:
    code = (
        "import os,sys; from annexd.git.repository import GitRepository as R; from annexd.git.index_lock import *;"
        "IndexLock.acquire(R.discover(os.fsencode(sys.argv[1]))); os._exit(9)"
    )
    done = subprocess.run(["python3", "-c", code, os.fsdecode(repo.top)], capture_output=True)
    assert done.returncode == 9, done.stderr
    assert os.path.exists(repo.index_path + b".lock")
    with IndexLock.acquire(repo):
        pass
    assert not os.path.exists(repo.index_path + b".lock")


def test_a_living_annexds_lock_stays(repo: GitRepository) -> None:
    with IndexLock.acquire(repo):
        assert not remove_stale_lock(repo)
        with pytest.raises(IndexLocked):
            IndexLock.acquire(repo)


def test_a_failed_change_leaves_index_and_lock_as_before(repo: GitRepository) -> None:
    with open(repo.index_path, "rb") as file:
        before = file.read()
    with pytest.raises(RuntimeError), IndexLock.acquire(repo):
        raise RuntimeError
    with open(repo.index_path, "rb") as file:
        assert file.read() == before
    assert not [name for name in os.listdir(repo.git_dir) if name.startswith(b"index.")]


# -- formats left to git


def unusual(top: Path, kind: str) -> None:
    match kind:
        case "version 4":
            git(top, "update-index", "--index-version", "4")
        case "split":
            git(top, "update-index", "--split-index")
        case "sparse":
            git(top, "sparse-checkout", "set", "--cone", "--sparse-index", "nothing")


@pytest.mark.parametrize("kind", ["version 4", "split", "sparse"])
def test_unusual_formats_go_through_git(git_repo: Path, repo: GitRepository, objects: GitObjects, kind: str) -> None:
    unusual(git_repo, kind)
    with pytest.raises(UnsupportedIndex):
        GitIndex.read(repo.index_path)
    index = PlumbingIndex(repo)
    assert list(index.paths()) == [b"a", b"dir-x", b"dir/b", b"dir/deep/c", b"z"]
    oid = objects.add(BLOB, b"new")
    index.set(IndexEntry(b"dir/new", 0o100644, oid))
    index.remove(b"z")
    assert index.entries_for_oid(oid) == [b"dir/new"]
    assert index.paths_under(b"dir") == [b"dir/b", b"dir/deep/c", b"dir/new"]
    tree = index.write_tree(objects)
    index.save()
    assert git(git_repo, "write-tree").strip() == tree.hex().encode()
    assert git(git_repo, "ls-tree", "-r", "--name-only", tree.hex()).split() == [
        b"a", b"dir-x", b"dir/b", b"dir/deep/c", b"dir/new"
    ]  # fmt: skip
    assert not [name for name in os.listdir(repo.git_dir) if b"annexd" in name]


def test_a_locked_index_is_told_from_other_failures(git_repo: Path, repo: GitRepository) -> None:
    unusual(git_repo, "version 4")
    index = PlumbingIndex(repo)
    index.set(IndexEntry(b"n", 0o100644, Oid(bytes.fromhex(git(git_repo, "rev-parse", "HEAD:a").decode()))))
    with IndexLock.acquire(repo), pytest.raises(IndexLocked):
        index.save()
    index.save()
    assert b"n" in git(git_repo, "ls-files").split()
