"""What holds at any moment, also right after a kill -9: seen without annexd, through git and the file system."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.crash.load import tree_of
from tests.support.pair import Pair, Side

POINTER = b"/annex/objects/"
LOCKS = ("index.lock", "HEAD.lock", "packed-refs.lock", "annex/index.lock")


def assert_nothing_named_is_absent(pair: Pair) -> None:
    """Every key in any commit, of both sides, is whole in one of the two object stores."""
    named = {side: named_keys(side) for side in pair}       # first, as a daemon that lives may be adding more
    stored = {name for side in pair for name in stored_keys(side)}
    for side in pair:
        absent = named[side] - stored
        assert not absent, f"commits in {side.repo.name} name keys whose content is nowhere: {sorted(absent)[:5]}"


def named_keys(side: Side) -> set[bytes]:
    """File names of the keys that the commits of all branches name, but for the git-annex branch."""
    if not side.git("for-each-ref", "refs/heads", "refs/remotes"):
        return set()
    raw = side.git("log", "--exclude=*git-annex", "--all", "-m", "--root", "--raw", "--no-abbrev", "-z", "--format=")
    blobs = set()
    for line in raw.split(b"\0"):
        words = line.split(b" ")
        if line.startswith(b":") and words[1] in (b"100644", b"100755", b"120000"):
            blobs.add(words[3])
    return {key for data in contents(side, blobs) if (key := key_in(data)) is not None}


def contents(side: Side, blobs: Iterable[bytes]) -> list[bytes]:
    """The blobs' contents."""
    out = side.git("cat-file", "--batch", stdin=b"".join(oid + b"\n" for oid in blobs))
    found = []
    while out:
        header, _, out = out.partition(b"\n")
        assert header.split()[1] == b"blob", f"damaged object: {header!r}"
        size = int(header.split()[2])
        found.append(out[:size])
        out = out[size + 1 :]
    return found


def key_in(data: bytes) -> bytes | None:
    """The key that a link or pointer names."""
    start = data.find(POINTER)
    if start < 0 or len(data) > 4096:
        return None
    return data[start:].splitlines()[0].rpartition(b"/")[2]


def stored_keys(side: Side) -> set[bytes]:
    """The keys in the object store, each with as many bytes as its name says."""
    found = set()
    for directory, _, names in os.walk(os.fsencode(side.repo / ".git/annex/objects")):
        for name in names:
            if name == os.path.basename(directory):
                size = next((part[1:] for part in name.split(b"--")[0].split(b"-") if part[:1] == b"s"), None)
                if size is None or os.lstat(os.path.join(directory, name)).st_size == int(size):
                    found.add(name)
    return found


def assert_all_there(pair: Pair, expected: Mapping[str, bytes]) -> bool:
    """Both work trees hold exactly these files, with content."""
    for side in pair:
        try:
            found = tree_of(side.repo)
        except OSError as error:
            raise AssertionError(f"{side.repo.name}: {error}") from error
        missing = sorted(expected.keys() - found.keys())
        extra = sorted(found.keys() - expected.keys())
        other = sorted(path for path in expected.keys() & found.keys() if expected[path] != found[path])
        problem = f"missing {missing[:5]} ({len(missing)}), extra {extra[:5]} ({len(extra)})"
        shown = [(path, found[path][:60]) for path in other[:3]]
        assert expected == found, f"{side.repo.name}: {problem}, different {shown} ({len(other)})"
    return True


def assert_no_locks_left(repo: Path) -> None:
    """No lock file that keeps a git command out, and none of ours that says a transfer goes on."""
    for name in LOCKS:
        assert not (repo / ".git" / name).exists(), f"{name} was left"
    refs = list((repo / ".git/refs").rglob("*.lock"))
    assert not refs, f"locks of refs were left: {refs}"
    transfers = [path for path in (repo / ".git/annex/transfer").rglob("*") if path.is_file()]
    transfers = [path for path in transfers if "failed" not in path.parts]
    assert not transfers, f"notes of transfers were left: {transfers}"
