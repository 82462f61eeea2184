"""A remote whose history wants to write where it has no business: refused by name, and nothing else is disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, make_pair
from tests.support.repositories import git, make_git_repo

HOOK = b"#!/bin/sh\ntouch \"$(git rev-parse --git-dir)/owned\"\n"


class Hostile:
    """A repository whose objects are made byte by byte."""

    def __init__(self, repo: Path) -> None:
        self.repo = make_git_repo(repo)

    def blob(self, data: bytes) -> bytes:
        return git(self.repo, "hash-object", "-w", "--stdin", stdin=data).strip()

    def tree(self, *entries: tuple[bytes, bytes, bytes]) -> bytes:
        """Of (mode, name, oid in hex), whatever the names are."""
        data = b"".join(b"%b %b\0%b" % (mode, name, bytes.fromhex(oid.decode())) for mode, name, oid in entries)
        return git(self.repo, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data).strip()

    def nested(self, path: bytes, mode: bytes, data: bytes) -> bytes:
        """A tree with one file, as deep as `path` says."""
        names = path.split(b"/")
        made = self.tree((mode, names[-1], self.blob(data)))
        for name in reversed(names[:-1]):
            made = self.tree((b"40000", name, made))
        return made

    def commit(self, tree: bytes, branch: str = "main") -> None:
        parents = git(self.repo, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").split()
        options = [word for parent in parents for word in ("-p", parent.decode())]
        commit = git(self.repo, "commit-tree", *options, "-m", "hostile", tree).strip()
        git(self.repo, "update-ref", f"refs/heads/{branch}", commit)


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(tmp_path / "hostile")


@pytest.fixture
def pair(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Pair]:
    """Deep enough for paths that lead upwards."""
    top = tmp_path / "1/2/3/4/5"
    top.mkdir(parents=True)
    with make_pair(top, clean_environment) as made:
        yield made


def everything_outside(tmp_path: Path) -> set[Path]:
    """All paths that no daemon may add to."""
    known = tmp_path / "1/2/3/4/5"
    return {path for path in tmp_path.rglob("*") if known not in path.parents and "hostile" not in path.parts}


def complaint_about_hostile(pair: Pair) -> str:
    """An alert, or the last error of the remote where git itself refuses to fetch."""
    status = pair.a.status()
    errors = [remote["last_error"] for remote in status.get("remotes", ()) if remote["name"] == "hostile"]
    return " ".join([alert["message"] for alert in status.get("alerts", ()) if "hostile" in alert["message"]] + errors)


TREES = {
    "upwards": (b"../escaped.txt", b"100644"),
    "far upwards": (b"sub/../../../escaped.txt", b"100644"),
    "upwards in one name": (b"x/../../../../escaped.txt", b"100644"),
    "git directory": (b".git/hooks/post-commit", b"100755"),
    "git directory in capitals": (b".GIT/hooks/post-commit", b"100755"),
    "git directory further down": (b"sub/.git/config", b"100644"),
    "here": (b"./dot.txt", b"100644"),
    "nameless": (b"/nameless.txt", b"100644"),
}


@pytest.mark.parametrize("name", TREES)
def test_a_tree_that_leads_out_of_the_work_tree_is_refused(
    pair: Pair, hostile: Hostile, tmp_path: Path, name: str
) -> None:
    path, mode = TREES[name]
    in_one_name = name == "upwards in one name"
    tree = hostile.tree((mode, path, hostile.blob(HOOK))) if in_one_name else hostile.nested(path, mode, HOOK)
    hostile.commit(tree)
    before = everything_outside(tmp_path)
    pair.start()
    pair.assert_syncs("before.txt")
    pair.a.git("remote", "add", "hostile", str(hostile.repo))
    eventually(lambda: complaint_about_hostile(pair), SYNC_LIMIT, "a word about the hostile remote")
    pair.assert_syncs("after.txt")
    assert everything_outside(tmp_path) == before
    for side in pair:
        assert sorted(p.name for p in side.repo.iterdir()) == [".git", "after.txt", "before.txt"]
        assert not list(side.repo.rglob("owned"))
        assert not side.repo.joinpath(".git/hooks/post-commit").exists()


HOSTILE_KEYS = (
    b"SHA256E-s20--../../../../../../escaped",
    b"SHA256E-s20--..%..%..%..%..%..%escaped",
    b"SHA256E-s20--/tmp/escaped",
    b"WORM-s20-m1--..",
    b"SHA256E-s20--" + b"e" * 300,
    b"WORM-s20-m1--" + b"&s" * 200,
)


@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: repr(key[:30]))
def test_a_key_that_leads_elsewhere_is_never_stored_there(
    pair: Pair, hostile: Hostile, tmp_path: Path, key: bytes
) -> None:
    link = b".git/annex/objects/aa/bb/" + key + b"/" + key
    hostile.commit(
        hostile.tree(
            (b"120000", b"link", hostile.blob(link)),
            (b"100644", b"pointer", hostile.blob(b"/annex/objects/" + key + b"\n")),
        )
    )
    uuid = b"11111111-1111-4111-8111-111111111111"
    log = hostile.blob(b"1700000000s 1 %b\n" % uuid)
    names = hostile.blob(b"%b hostile timestamp=1700000000s\n" % uuid)
    entries = [(b"100644", name, log) for name in (b"../../evil.log", b"..", key.replace(b"/", b"%") + b".log")]
    hostile.commit(hostile.tree((b"100644", b"uuid.log", names), *entries), "git-annex")
    git(hostile.repo, "config", "annex.uuid", uuid)
    before = everything_outside(tmp_path)
    pair.start()
    pair.assert_syncs("before.txt")
    pair.a.git("remote", "add", "hostile", str(hostile.repo))
    eventually(lambda: any(r["name"] == "hostile" for r in pair.a.status().get("remotes", ())), SYNC_LIMIT)
    pair.assert_syncs("after.txt")
    assert everything_outside(tmp_path) == before
    assert not list(pair.a.repo.joinpath(".git/annex/objects").rglob("*escaped"))


def test_a_symbolic_link_never_leads_a_checkout_elsewhere(pair: Pair, hostile: Hostile, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    pair.start()
    pair.a.path("dir").symlink_to(outside)
    pair.assert_syncs("before.txt")
    eventually(lambda: pair.b.path("dir").is_symlink(), SYNC_LIMIT)
    pair.settle()
    git(hostile.repo, "fetch", "-q", "--update-head-ok", str(pair.a.repo), "main:main")
    theirs = hostile.tree(
        (b"100644", b"before.txt", git(hostile.repo, "rev-parse", "main:before.txt").strip()),
        (b"40000", b"dir", hostile.nested(b"planted.txt", b"100644", b"planted\n")),
    )
    hostile.commit(theirs)
    pair.a.git("remote", "add", "hostile", str(hostile.repo))
    for side in pair:
        eventually(lambda s=side: s.has("dir/planted.txt", b"planted\n"), SYNC_LIMIT)
        assert not side.path("dir").is_symlink()
    assert not list(outside.iterdir())
