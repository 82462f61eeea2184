"""One repository for all examples of a property, and what examples are made of."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from annexd.git.objects import Oid
from annexd.git.repository import GitRepository
from annexd.git.tree import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_LINK, Blob
from tests.support.repositories import make_git_repo

# Few short names, so that files meet directories of the same name and neighbours in git's odd order ("a-", "a/", "a0").
NAMES = st.sampled_from([b"a", b"b", b"a-", b"a.b", b"a0", b"\xff", b"c d", b"new\nline", b"ab"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
OIDS = st.integers(1, 6).map(lambda n: Oid(bytes([n]) * 20))
MODES = st.sampled_from([MODE_FILE, MODE_FILE, MODE_EXECUTABLE, MODE_LINK, MODE_GITLINK])
BLOBS: st.SearchStrategy[Blob] = st.tuples(MODES, OIDS)


def without_clashes(files: dict[bytes, Blob]) -> dict[bytes, Blob]:
    """Leave out files that lie below other files."""
    parents = {path: path.split(b"/") for path in files}
    return {
        path: blob
        for path, blob in files.items()
        if not any(b"/".join(parents[path][:depth]) in files for depth in range(1, len(parents[path])))
    }


FILES = st.dictionaries(PATHS, BLOBS, max_size=12).map(without_clashes)


@contextmanager
def scratch_repository() -> Iterator[GitRepository]:
    """A repository that goes away afterwards."""
    with tempfile.TemporaryDirectory() as name:
        yield GitRepository.discover(os.fsencode(make_git_repo(Path(name) / "repo")))


def index_info(files: dict[bytes, Blob | None] | dict[bytes, Blob]) -> bytes:
    """Input for `git update-index -z --index-info`: removals first."""
    lines = []
    for path, blob in sorted(files.items(), key=lambda item: item[1] is not None):
        mode, oid = blob or (0, Oid(bytes(20)))
        lines.append(b"%o %b\t%b\0" % (mode, oid.hex().encode(), path))
    return b"".join(lines)


def tree_by_git(repo: GitRepository, files: dict[bytes, Blob]) -> Oid:
    """What git makes of these files."""
    index = repo.with_index(os.path.join(repo.git_dir, b"scratch-index"))
    if os.path.exists(index.index_path):
        os.unlink(index.index_path)
    index.run(b"update-index", b"-z", b"--index-info", stdin=index_info(files))
    return Oid(bytes.fromhex(index.run(b"write-tree", b"--missing-ok").decode()))
