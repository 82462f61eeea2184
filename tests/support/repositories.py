"""Real git repositories for tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def git(repo: Path, *args: str | bytes, stdin: bytes = b"") -> bytes:
    """Run git in `repo`; its output. The failure shows what git said."""
    done = subprocess.run(["git", *args], cwd=repo, input=stdin, capture_output=True)
    shown = " ".join(os.fsdecode(arg) for arg in args)
    assert done.returncode == 0, f"git {shown}: {done.stderr.decode(errors='backslashreplace')}"
    return done.stdout


def make_git_repo(path: Path, *, bare: bool = False) -> Path:
    """An empty repository without hooks."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "-q", "--template=", *(["--bare"] if bare else []))
    return path


def make_removable(path: Path) -> None:
    """Give back the write permissions that an annex takes from its directories, so that pytest can clean up."""
    for directory, _, _ in os.walk(path):
        if not os.access(directory, os.W_OK):
            os.chmod(directory, 0o755)
