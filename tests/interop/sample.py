"""The varied repository that git-annex makes (tests/data/sample-repo.sh), copied for each test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "data" / "sample-repo.sh"


def build(where: Path, env: dict[str, str]) -> Path:
    """Run the script; about ten seconds. Returns the directory with main, peer, bare.git, dir, ..."""
    done = subprocess.run(["sh", str(SCRIPT), str(where)], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return where


def copy(sample: Path, where: Path) -> Path:
    """A copy of the sample whose remotes' paths point into the copy, so that no test changes the original."""
    subprocess.run(["cp", "-a", str(sample), str(where)], check=True)
    for config in (where / "main/.git/config", where / "peer/.git/config", where / "bare.git/config"):
        config.write_text(config.read_text().replace(str(sample), str(where)))
    return where


def make_removable(where: Path) -> None:
    """Objects are read-only, and so are their directories: give the owner the right to delete them."""
    for root, directories, _ in os.walk(where):
        for name in directories:
            path = os.path.join(root, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755)
    shutil.rmtree(where, ignore_errors=True)


def run(argv: list[str], cwd: Path, env: dict[str, str], *, status: int | None = 0) -> str:
    """Standard output of a program; asserts its exit status unless `status` is None."""
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    out = done.stdout.decode("utf-8", "surrogateescape")
    if status is not None:
        said = out + done.stderr.decode("utf-8", "replace")
        assert done.returncode == status, f"{' '.join(argv)} exited {done.returncode} in {cwd}\n{said}"
    return out


def json_lines(text: str) -> list[dict[str, object]]:
    """The objects of a `--json` output."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]
