"""What tests of the annex floor share."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from annexd.annex.init import initialize
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.uuid import UUID

OTHER = UUID(b"bbbbbbbb-1111-4222-8333-444444444444")
THIRD = UUID(b"cccccccc-1111-4222-8333-444444444444")


def git(repo: Path, *args: str, stdin: bytes = b"", check: bool = True) -> bytes:
    """Run git; its output without the last newline."""
    done = subprocess.run(["git", *args], cwd=repo, input=stdin, capture_output=True)
    assert not check or done.returncode == 0, (args, done.stderr)
    return done.stdout.removesuffix(b"\n")


def git_annex(repo: Path, *args: str, stdin: bytes = b"", status: int | None = 0) -> bytes:
    """Run the real git-annex; its output."""
    done = subprocess.run(["git-annex", *args], cwd=repo, input=stdin, capture_output=True)
    assert status is None or done.returncode == status, (args, done.stdout, done.stderr)
    return done.stdout


def make_annex(path: Path, *init: str) -> Path:
    """A new repository that annexd made an annex."""
    subprocess.run(["git", "init", "-q", *init, str(path)], check=True)
    initialize(os.fsencode(path)).close()
    return path


def open_annex(path: Path) -> AnnexState:
    """The annex at `path`; close it."""
    return AnnexState.open(os.fsencode(path))


def key(number: int) -> Key:
    """One of many keys."""
    return Key(b"SHA256E", hashlib.sha256(b"%d" % number).hexdigest().encode() + b".txt", number)


def show(repo: Path, path: str, ref: str = "git-annex") -> bytes:
    """A file of a branch; b"" when there is none."""
    return subprocess.run(["git", "show", f"{ref}:{path}"], cwd=repo, capture_output=True).stdout


def subjects(repo: Path, ref: str = "git-annex") -> list[bytes]:
    """Subjects of the commits, oldest first."""
    return git(repo, "log", "--format=%s", "--reverse", ref).splitlines()


def commit_files(repo: Path, ref: str, files: dict[str, bytes], *, parent: str | None = None) -> str:
    """A commit that holds just these files, as another git-annex could have made it; `ref` is put there."""
    lines = b""
    for path, data in files.items():
        blob = git(repo, "hash-object", "-w", "--stdin", stdin=data)
        lines += b"100644 %b\t%b\n" % (blob, os.fsencode(path))
    index = repo / ".git" / "test-index"
    env = {**os.environ, "GIT_INDEX_FILE": str(index)}
    subprocess.run(["git", "update-index", "--add", "--index-info"], cwd=repo, input=lines, env=env, check=True)
    tree = subprocess.run(["git", "write-tree"], cwd=repo, env=env, capture_output=True, check=True).stdout.strip()
    index.unlink()
    args = ["commit-tree", tree.decode(), "-m", "made by a test", *(["-p", parent] if parent else [])]
    commit = git(repo, *args).decode()
    git(repo, "update-ref", ref, commit)
    return commit
