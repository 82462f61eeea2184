"""What is measured: LATENCY, SMALL, LARGE, START, IDLE (each returns a Result)."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from tests.bench.measure import Result, cpu_seconds, pss_bytes, read_or_none, wait_for_sizes, wait_until
from tests.bench.peers import Peer, wait_in_sync

SMALL_SIZE = 4096
FILES_PER_DIRECTORY = 100


def make_files(top: Path, count: int, tag: str) -> list[str]:
    """Relative names of `count` new files of 4 KiB, each with content of its own, 100 a directory."""
    names = []
    for i in range(count):
        directory = f"{tag}-{i // FILES_PER_DIRECTORY:03d}"
        if i % FILES_PER_DIRECTORY == 0:
            (top / directory).mkdir()
        name = f"{directory}/{i:05d}.dat"
        head = f"{tag} {i}\n".encode()
        fd = os.open(top / name, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
        os.write(fd, head + bytes(SMALL_SIZE - len(head)))
        os.close(fd)
        names.append(name)
    return names


def verify(source: Path, target: Path, names: list[str]) -> None:
    """What arrived is what was sent."""
    for name in names:
        assert (target / name).read_bytes() == (source / name).read_bytes(), f"{name} differs"


def preload(peer: Peer, count: int, seconds: float = 600) -> None:
    """`count` files in sync on both sides, and both sides at rest."""
    names = make_files(peer.a, count, "base")
    wait_for_sizes([str(peer.b / n) for n in names], SMALL_SIZE, seconds, f"{peer.name}: preload of {count}")
    wait_quiet(peer)


def wait_quiet(peer: Peer, quiet: float = 2.0, seconds: float = 120) -> None:
    """Wait until the contestant uses less than 2 % of a core for `quiet` seconds."""
    end = time.monotonic() + seconds
    last = cpu_seconds(peer.pids())
    while time.monotonic() < end:
        time.sleep(quiet)
        now = cpu_seconds(peer.pids())
        if now - last < 0.02 * quiet:
            return
        last = now


def latency(peer: Peer, rounds: int = 30, seconds: float = 30) -> Result:
    """One 1 KiB file written in A until it is readable, whole, in B; one at a time."""
    result = Result("LATENCY 1 KiB", peer.name)
    before = cpu_seconds(peer.pids())
    for i in range(rounds):
        content = f"latency {i} {time.monotonic_ns()}\n".encode().ljust(1024, b".")
        name = f"latency-{time.monotonic_ns()}.txt"
        target = str(peer.b / name)
        start = time.monotonic()
        (peer.a / name).write_bytes(content)
        wait_until(lambda t=target, c=content: read_or_none(t) == c, seconds, f"{peer.name}: latency round {i}")
        result.seconds.append(time.monotonic() - start)
        time.sleep(0.3)
    result.cpu = (cpu_seconds(peer.pids()) - before) / rounds
    result.note = f"p95 {result.percentile(0.95):.3f}"
    return result


def small(peer: Peer, count: int, seconds: float = 300) -> Result:
    """`count` files of 4 KiB at once, until all are readable in B."""
    result = Result(f"SMALL {count} x 4 KiB", peer.name)
    before = cpu_seconds(peer.pids())
    start = time.monotonic()
    names = make_files(peer.a, count, f"small{time.monotonic_ns()}")
    wait_for_sizes([str(peer.b / n) for n in names], SMALL_SIZE, seconds, f"{peer.name}: {count} small files")
    result.seconds.append(time.monotonic() - start)
    result.cpu = cpu_seconds(peer.pids()) - before
    result.pss_mib = pss_bytes(peer.pids()) / 2**20
    verify(peer.a, peer.b, names)
    return result


def large(peer: Peer, source: Path, seconds: float = 300) -> Result:
    """One large file copied into A until it is whole in B (writing it into A is part of the time)."""
    size = source.stat().st_size
    result = Result(f"LARGE {size // 2**20} MiB", peer.name)
    name = f"large-{time.monotonic_ns()}.bin"
    before = cpu_seconds(peer.pids())
    with open(source, "rb") as reader, open(peer.a / name, "wb") as writer:
        while block := reader.read(1 << 20):
            writer.write(block)
        start = time.monotonic()  # the clock starts when the writer closes the file
    wait_for_sizes([str(peer.b / name)], size, seconds, f"{peer.name}: large file")
    result.seconds.append(time.monotonic() - start)
    result.cpu = cpu_seconds(peer.pids()) - before
    with open(source, "rb") as one, open(peer.b / name, "rb") as two:
        while block := one.read(1 << 20):
            assert two.read(1 << 20) == block, "large file differs"
    for side in (peer.a, peer.b):
        (side / name).unlink(missing_ok=True)     # the other side may have followed already
    return result


def start(peer: Peer, seconds: float = 120) -> Result:
    """Both daemons started on folders in sync, until a file made meanwhile is on the other side."""
    result = Result("START", peer.name)
    peer.stop()
    name = f"start-{time.monotonic_ns()}.txt"
    begin = time.monotonic()
    peer.start()
    (peer.a / name).write_bytes(b"started\n" * 20)
    wait_until(lambda: read_or_none(str(peer.b / name)) == b"started\n" * 20, seconds, f"{peer.name}: start")
    result.seconds.append(time.monotonic() - begin)
    return result


def idle(peer: Peer, seconds: float = 60) -> Result:
    """CPU seconds a minute and memory of one daemon, averaged over the two, with nothing to do."""
    wait_quiet(peer)
    result = Result("IDLE", peer.name)
    before = cpu_seconds(peer.pids())
    time.sleep(seconds)
    used = cpu_seconds(peer.pids()) - before
    daemons = len(peer.pids())
    result.cpu = used / daemons * 60 / seconds
    result.pss_mib = pss_bytes(peer.pids()) / daemons / 2**20
    result.note = "CPU s a minute and MiB PSS a daemon"
    return result


def repeat(measured: list[Result]) -> Result:
    """Several runs of one workload as one result."""
    first = measured[0]
    joined = Result(first.workload, first.who, [s for r in measured for s in r.seconds], note=first.note)
    cpus = [r.cpu for r in measured if r.cpu is not None]
    sizes = [r.pss_mib for r in measured if r.pss_mib is not None]
    joined.cpu = statistics.median(cpus) if cpus else None
    joined.pss_mib = max(sizes) if sizes else None
    return joined


__all__ = ["idle", "large", "latency", "make_files", "preload", "repeat", "small", "start", "wait_in_sync"]
