"""Objects as git sees those we write, and as we see those git wrote."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from annexd.errors import ConfigError, FormatError, RepositoryError
from annexd.git.cat_file import CatFile
from annexd.git.commit import Signature, build_commit, parse_commit, read_identity
from annexd.git.object_store import GitObjects
from annexd.git.objects import BLOB, COMMIT, PACK_FROM, TAG, TREE, GitObject, ObjectWriter, Oid, object_id
from annexd.git.repository import GitRepository
from tests.support.eventually import eventually
from tests.support.repositories import git


@pytest.fixture
def repo(git_repo: Path) -> GitRepository:
    return GitRepository.discover(os.fsencode(git_repo))


def loose_and_packs(repo: GitRepository) -> tuple[int, int]:
    found = repo.run(b"count-objects", b"-v").split()
    values = dict(zip(found[::2], found[1::2], strict=True))
    return int(values[b"count:"]), int(values[b"packs:"])


def test_names_are_gits(git_repo: Path) -> None:
    assert object_id(BLOB, b"hello").hex().encode() == git(git_repo, "hash-object", "--stdin", stdin=b"hello").strip()


def test_few_objects_become_loose_files(repo: GitRepository) -> None:
    writer = ObjectWriter(repo)
    oids = [writer.add(BLOB, b"%d" % n) for n in range(5)]
    assert writer.add(BLOB, b"0") == oids[0]
    result = writer.flush()
    assert (result.oids, result.pack) == (tuple(oids), None)
    assert loose_and_packs(repo) == (5, 0)
    assert repo.run(b"fsck", b"--strict", b"--no-dangling") == b""
    assert repo.run(b"cat-file", b"blob", oids[3].hex().encode()) == b"3"


def test_many_objects_become_one_pack(repo: GitRepository) -> None:
    writer = ObjectWriter(repo)
    sizes = [0, 1, 15, 16, 127, 128, 2047, 2048, 70_000, 300_000]
    contents = [b"x%d" % n for n in range(PACK_FROM)] + [os.urandom(size) for size in sizes]
    oids = [writer.add(BLOB, content) for content in contents]
    pack = writer.flush().pack
    assert pack is not None
    assert loose_and_packs(repo) == (0, 1)
    repo.run(b"verify-pack", pack)
    repo.run(b"index-pack", b"--verify", b"--strict", pack)
    assert repo.run(b"fsck", b"--strict", b"--no-dangling") == b""
    for oid, content in zip(oids, contents, strict=True):
        if len(content) > 20 or oid[0] < 16:
            assert repo.run(b"cat-file", b"blob", oid.hex().encode()) == content


def test_nothing_temporary_stays_behind(repo: GitRepository) -> None:
    writer = ObjectWriter(repo)
    for n in range(3):
        writer.add(BLOB, b"%d" % n)
    writer.flush()
    for n in range(PACK_FROM):
        writer.add(BLOB, b"%d" % n)
    writer.flush()
    names = [name for _, _, names in os.walk(repo.objects_dir) for name in names]
    assert not [name for name in names if name.startswith(b"tmp")]


def test_an_existing_object_is_marked_as_fresh(repo: GitRepository) -> None:
    writer = ObjectWriter(repo)
    name = writer.add(BLOB, b"x").hex().encode()
    writer.flush()
    path = os.path.join(repo.objects_dir, name[:2], name[2:])
    os.utime(path, (1, 1))
    writer.add(BLOB, b"x")
    writer.flush()
    assert os.stat(path).st_mtime > 1


def test_objects_of_a_shared_repository_are_readable_for_the_group(git_repo: Path) -> None:
    git(git_repo, "config", "core.sharedRepository", "group")
    repo = GitRepository.discover(os.fsencode(git_repo))
    writer = ObjectWriter(repo)
    name = writer.add(BLOB, b"x").hex().encode()
    before = os.umask(0o077)
    try:
        writer.flush()
    finally:
        os.umask(before)
    directory = os.path.join(repo.objects_dir, name[:2])
    assert os.stat(os.path.join(directory, name[2:])).st_mode & 0o777 == 0o440
    assert os.stat(directory).st_mode & 0o070 == 0o070


def test_cat_file_reads_what_is_there_and_says_what_is_not(repo: GitRepository) -> None:
    writer = ObjectWriter(repo)
    oid = writer.add(BLOB, b"a\nb\0c")
    writer.flush()
    cat = CatFile(repo)
    assert cat.read(oid) == GitObject(BLOB, b"a\nb\0c")
    assert cat.read(Oid(b"\x11" * 20)) is None
    assert cat.read(oid) == GitObject(BLOB, b"a\nb\0c")
    assert cat.read_name(b"HEAD:nothing here") is None
    assert cat.read_name(oid.hex().encode()) == GitObject(BLOB, b"a\nb\0c")
    cat.close()
    assert cat.read(oid) is not None
    cat.close()


def test_a_file_of_the_head_is_read_by_any_name(git_repo: Path, repo: GitRepository) -> None:
    (git_repo / "a\nb").write_text("1")
    (git_repo / "c d").write_text("2")
    git(git_repo, "add", "-A")
    git(git_repo, "commit", "-q", "-m", "x")
    cat = CatFile(repo)
    assert cat.read_name(b"HEAD:a\nb") == GitObject(BLOB, b"1")
    assert cat.read_name(b"HEAD:c d") == GitObject(BLOB, b"2")
    cat.close()


@pytest.mark.timeout(60)
def test_reading_many_objects_never_blocks(repo: GitRepository) -> None:
    writer = ObjectWriter(repo)
    contents = [b"%d" % n * (1 + n % 7 * 9000) for n in range(700)]
    oids = [writer.add(BLOB, content) for content in contents]
    writer.flush()
    cat = CatFile(repo)
    wanted = [*oids, Oid(b"\x22" * 20), *oids[:5]]
    found = list(cat.read_many(wanted))
    assert [item and item.data for item in found] == [*contents, None, *contents[:5]]
    for item in cat.read_many(oids):  # left early
        assert item == GitObject(BLOB, contents[0])
        break
    assert cat.read(oids[7]) == GitObject(BLOB, contents[7])
    cat.close()


def test_a_killed_cat_file_is_started_again(repo: GitRepository) -> None:
    writer = ObjectWriter(repo)
    oid = writer.add(BLOB, b"x")
    writer.flush()
    cat = CatFile(repo)
    cat.read(oid)
    pid = cat._process._process.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not cat._process._process.is_running())
    assert cat.read(oid) == GitObject(BLOB, b"x")
    cat.close()


def test_new_objects_are_readable_before_they_are_on_disk(repo: GitRepository) -> None:
    objects = GitObjects(repo)
    oid = objects.add(BLOB, b"new")
    assert objects.read(oid) == GitObject(BLOB, b"new")
    assert objects.read_blob(oid) == b"new"
    assert list(objects.read_many([oid, Oid(b"\x33" * 20)])) == [GitObject(BLOB, b"new"), None]
    assert loose_and_packs(repo) == (0, 0)
    objects.flush()
    objects.forget()
    assert objects.read_blob(oid) == b"new"
    objects.close()


def test_discarded_objects_are_gone(repo: GitRepository) -> None:
    objects = GitObjects(repo)
    oid = objects.add(BLOB, b"new")
    objects.discard()
    assert objects.read(oid) is None
    assert objects.flush().oids == ()
    objects.close()


def test_an_object_git_packed_meanwhile_is_found(git_repo: Path, repo: GitRepository) -> None:
    objects = GitObjects(repo)
    oid = objects.add(BLOB, b"new")
    tree = objects.add(TREE, b"100644 f\0" + oid)
    who = Signature(b"a <b>", 1, b"+0000")
    commit = objects.add(COMMIT, build_commit(tree, [], who, who, b"m"))
    objects.flush()
    git(git_repo, "update-ref", "refs/heads/main", commit.hex())
    assert objects.read(commit)
    git(git_repo, "gc", "-q", "--prune=now")
    objects.forget()
    assert objects.read_blob(oid) == b"new"
    objects.close()


def test_a_missing_tree_is_a_clear_error(repo: GitRepository) -> None:
    objects = GitObjects(repo)
    blob = objects.add(BLOB, b"x")
    with pytest.raises(RepositoryError, match="missing"):
        objects.tree(Oid(b"\x11" * 20))
    with pytest.raises(RepositoryError, match="is a blob"):
        objects.tree(blob)
    objects.close()


def test_sha256_repositories_are_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256")
    with pytest.raises(RepositoryError, match="sha256"):
        GitObjects(GitRepository.discover(os.fsencode(tmp_path)))


def test_commits_are_read_and_written_as_git_does(git_repo: Path, repo: GitRepository) -> None:
    git(git_repo, "commit", "-q", "--allow-empty", "-m", "first\n\nbody")
    git(git_repo, "commit", "-q", "--allow-empty", "-m", "second")
    cat = CatFile(repo)
    found = cat.read_name(b"HEAD")
    cat.close()
    assert found is not None
    commit = parse_commit(found.data)
    assert commit.author.who == b"Test Person <person@example.com>"
    assert commit.message == b"second\n"
    assert len(commit.parents) == 1
    built = build_commit(commit.tree, commit.parents, commit.author, commit.committer, b"second")
    assert built == found.data


def test_signed_and_odd_commits_keep_their_headers() -> None:
    data = (
        b"tree " + b"1" * 40 + b"\nauthor A <a> 1 +0000\ncommitter B <b> 2 -0130\n"
        b"gpgsig -----BEGIN\n line\n -----END\nencoding latin1\n\nmessage"
    )
    commit = parse_commit(data)
    assert commit.extra == b"gpgsig -----BEGIN\n line\n -----END\nencoding latin1"
    assert commit.committer == Signature(b"B <b>", 2, b"-0130")


@pytest.mark.parametrize(
    "data", [b"", b"tree x\n\n", b"tree " + b"1" * 40 + b"\nauthor A\ncommitter B <b> 1 +0000\n\n"]
)
def test_damaged_commits_are_format_errors(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_commit(data)


def test_identity_is_what_git_says(repo: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    identity = read_identity(repo)
    assert identity.author == b"Somebody Else <person@example.com>"
    assert identity.committer == b"Test Person <person@example.com>"
    author, committer = identity.signatures(now=1_700_000_000)
    assert (author.time, committer.who) == (1_700_000_000, identity.committer)


def test_without_identity_the_error_says_what_to_do(git_repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(git_repo))
    git(git_repo, "config", "user.useConfigOnly", "true")
    with pytest.raises(ConfigError, match=r"user\.name"):
        read_identity(GitRepository.discover(os.fsencode(git_repo)))


def test_two_writers_of_the_same_object_do_not_disturb_each_other(repo: GitRepository) -> None:
    def write() -> None:
        writer = ObjectWriter(repo)
        for n in range(50):
            writer.add(BLOB, b"same %d" % n)
        writer.flush()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loose_and_packs(repo) == (50, 0)
    assert repo.run(b"fsck", b"--strict", b"--no-dangling") == b""


def test_tags_are_written_too(repo: GitRepository) -> None:
    objects = GitObjects(repo)
    blob = objects.add(BLOB, b"x")
    tag = objects.add(
        TAG, b"object %b\ntype blob\ntag t\ntagger A <a> 1 +0000\n\nm\n" % blob.hex().encode()
    )
    objects.flush()
    assert repo.run(b"cat-file", b"-t", tag.hex().encode()) == b"tag\n"
    objects.close()
