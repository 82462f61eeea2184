"""The same work with nothing around it: what the machine can do in this very run."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from tests.bench.measure import Result
from tests.bench.workloads import make_files


def small_floor(top: Path, count: int) -> Result:
    """Make the files, copy the tree with cp -r, hash both copies."""
    result = Result(f"SMALL {count} x 4 KiB", "floor: create + cp -r + sha256sum x 2")
    a, b = top / "floor-a", top / "floor-b"
    a.mkdir()
    start = time.monotonic()
    make_files(a, count, "floor")
    subprocess.run(["cp", "-r", str(a), str(b)], check=True)
    for side in (a, b):
        subprocess.run(f"find {side} -type f -print0 | xargs -0 sha256sum >/dev/null", shell=True, check=True)
    result.seconds.append(time.monotonic() - start)
    shutil.rmtree(a)
    shutil.rmtree(b)
    return result


def large_floor(top: Path, source: Path, runs: int = 3) -> Result:
    """cp twice plus one SHA-256 of the same file."""
    result = Result(f"LARGE {source.stat().st_size // 2**20} MiB", "floor: cp x 2 + sha256sum")
    for _ in range(runs):
        start = time.monotonic()
        for name in ("floor-1", "floor-2"):
            subprocess.run(["cp", "--reflink=never", str(source), str(top / name)], check=True)
        subprocess.run(["sha256sum", str(source)], check=True, capture_output=True)
        result.seconds.append(time.monotonic() - start)
        for name in ("floor-1", "floor-2"):
            (top / name).unlink()
    return result


def latency_floor(top: Path, rounds: int = 30) -> Result:
    """Write a file, copy it, read the copy."""
    result = Result("LATENCY 1 KiB", "floor: write + copy + read")
    for i in range(rounds):
        start = time.monotonic()
        one, two = top / f"l{i}", top / f"m{i}"
        one.write_bytes(b"." * 1024)
        shutil.copyfile(one, two)
        two.read_bytes()
        result.seconds.append(time.monotonic() - start)
        one.unlink()
        two.unlink()
    return result
