"""GET: 2,000 files of 4 KiB and 8 of 128 MiB from a repository beside, by annexd and git-annex with -J1, -J2, -J4."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.bench.measure import Result
from tests.bench.peers import environment
from tests.bench.workloads import make_files

SMALL_FILES = 2000
LARGE_FILES = 8
JOBS = (1, 2, 4)
MEMORY = 2 << 30        # bytes: for what is copied, and a little more
UNUSUAL = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


class Get:
    """The source is made once; each run gets everything into a new clone of it."""

    def __init__(self, top: Path, large_mib: int = 128) -> None:
        self._top = top
        self._source = top / "get-source"
        # As an installed program runs: compiled once, and with its output buffered.
        self._env = {k: v for k, v in environment(top / "get-home").items() if k not in UNUSUAL}
        self._env["PYTHONPYCACHEPREFIX"] = str(top / "get-compiled")
        self._name = f"GET {SMALL_FILES} x 4 KiB + {LARGE_FILES} x {large_mib} MiB"
        self._make(large_mib)

    def results(self, runs: int, who: Iterable[str]) -> list[Result]:
        """One row for the floor, then one for each contestant and number of jobs; runs are interleaved."""
        floor = Result(self._name, "floor: cp -r + SHA-256")
        rows = {(name, jobs): Result(self._name, f"{name} get -J{jobs}") for name in who for jobs in JOBS}
        for _ in range(runs):
            self._floor(floor)
            for (name, jobs), row in rows.items():
                self._get(name, jobs, row)
        theirs = {jobs: row.median for (name, jobs), row in rows.items() if name == "git-annex"}
        for (name, jobs), row in rows.items():
            if name != "git-annex" and row.median and (other := theirs.get(jobs)):
                row.note = f"{other / row.median:.1f} times the speed of git-annex -J{jobs}"
        return [floor, *rows.values()]

    def _make(self, large_mib: int) -> None:
        files = self._source
        files.mkdir()
        self._run("git", "init", "-q", cwd=files)
        self._annexd("init", "source", cwd=files)
        make_files(files, SMALL_FILES, "get")
        for number in range(LARGE_FILES):
            with open(files / f"large{number}.bin", "wb") as file:
                for _ in range(large_mib):
                    file.write(os.urandom(1 << 20))
        self._annexd("add", "--quiet", cwd=files)
        self._run("git", "commit", "-qm", "files", cwd=files)

    def _floor(self, row: Result) -> None:
        objects, copy = self._source / ".git/annex/objects", self._top / "get-floor"
        _quiet()
        began = time.monotonic()
        subprocess.run(["cp", "-r", "--reflink=never", str(objects), str(copy)], check=True)
        for path in copy.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    hashlib.file_digest(file, "sha256")
        row.seconds.append(time.monotonic() - began)
        _remove(copy)

    def _get(self, name: str, jobs: int, row: Result) -> None:
        clone = self._top / f"get-{name}-{jobs}-{len(row.seconds)}"
        self._run("git", "clone", "-q", str(self._source), str(clone), cwd=self._top)
        program = ["git-annex"] if name == "git-annex" else [sys.executable, "-m", "annexd"]
        self._run(*program, "init", "clone", cwd=clone)
        _quiet()
        before = os.times()
        began = time.monotonic()
        self._run(*program, "get", f"-J{jobs}", ".", cwd=clone)
        row.seconds.append(time.monotonic() - began)
        after = os.times()
        row.cpu = after.children_user + after.children_system - before.children_user - before.children_system
        missing = [path for path in clone.rglob("*") if path.is_symlink() and not path.exists()]
        assert not missing, f"{name} -J{jobs} left {len(missing)} files without content"
        _remove(clone)

    def _annexd(self, *args: str, cwd: Path) -> None:
        self._run(sys.executable, "-m", "annexd", *args, cwd=cwd)

    def _run(self, *args: str, cwd: Path) -> None:
        subprocess.run(args, cwd=cwd, env=self._env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _quiet() -> None:
    """Nothing is left to be written for others, and the memory for the copies is this machine's already.

    A virtual machine that gives unused memory back gets it page by page, which can take longer than all the copying.
    """
    os.sync()
    mmap.mmap(-1, MEMORY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def _remove(place: Path) -> None:
    for root, _, _ in os.walk(place):
        os.chmod(root, 0o755)
    shutil.rmtree(place)
