"""Run the benchmark and print one table: `python -m tests.bench [--quick] [--only NAMES] [--peers NAMES]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.bench import checking_out, floors, getting, reverting, scanning, workloads
from tests.bench.measure import BenchTimeout, Result
from tests.bench.peers import Annexd, GitAnnexAssistant, Peer, Syncthing
from tests.bench.place import remove, work_directory

PEERS: dict[str, Callable[[Path], Peer]] = {
    "annexd": Annexd,
    "annexd-locked": lambda top: _named(Annexd(top, configure={"annex.addunlocked": "false"}), "annexd, locked files"),
    "git-annex": GitAnnexAssistant,
    "syncthing": Syncthing,
}


DEFAULT = "latency,small1000,small10000,large,start,idle,get,scan,deferred,revert,checkout"
WITHOUT_PEERS = {"get", "scan", "deferred", "revert", "checkout"}


def _named(peer: Annexd, name: str) -> Annexd:
    peer.name = name
    return peer


def available(name: str) -> bool:
    if name == "git-annex":
        return GitAnnexAssistant.available()
    if name == "syncthing":
        return Syncthing.available()
    return True


def run_peer(name: str, top: Path, wanted: set[str], args: argparse.Namespace, source: Path) -> list[Result]:
    """All wanted workloads for one contestant; one that fails is reported in the table, and the next goes on."""
    place = top / name
    place.mkdir()
    peer = PEERS[name](place)
    results: list[Result] = []

    def attempt(label: str, action: Callable[[], Result]) -> None:
        if label not in wanted:
            return
        try:
            results.append(action())
        except (BenchTimeout, AssertionError) as e:
            results.append(Result(label.upper(), peer.name, note=f"FAILED: {e}"))

    try:
        peer.setup()
        peer.start()
        workloads.wait_in_sync(peer)
        if not args.no_preload:
            workloads.preload(peer, args.files)
        attempt("latency", lambda: workloads.latency(peer, args.rounds))
        attempt("start", lambda: workloads.repeat([workloads.start(peer) for _ in range(args.runs)]))
        attempt("idle", lambda: workloads.idle(peer, args.idle))
        attempt("small1000", lambda: workloads.repeat([workloads.small(peer, 1000) for _ in range(args.runs)]))
        attempt("small10000", lambda: workloads.repeat([workloads.small(peer, args.many) for _ in range(args.runs)]))
        attempt("large", lambda: workloads.repeat([workloads.large(peer, source) for _ in range(args.runs)]))
    except Exception as e:  # noqa: BLE001 boundary: one contestant that cannot run must not hide the others
        traceback.print_exc()
        results.append(Result("(set-up)", peer.name, note=f"FAILED: {e}"))
    finally:
        peer.stop()
        remove(place)
    return results


def table(results: list[Result]) -> str:
    """Rows per workload: median and p95 seconds, ratio to the floor and to annexd, CPU, memory."""
    heads = f"{'workload':<20} {'who':<40} {'median s':>9} {'x floor':>8} {'x annexd':>9} {'CPU s':>8} {'PSS MiB':>8}"
    lines = [heads + "  note"]
    for workload in dict.fromkeys(r.workload for r in results):
        rows = [r for r in results if r.workload == workload]
        floor = next((r.median for r in rows if r.who.startswith("floor")), None)
        ours = next((r.median for r in rows if r.who == "annexd"), None)
        for row in rows:
            median = row.median
            lines.append(
                f"{workload:<20} {row.who:<40} {_number(median, 9, 3)} {_ratio(median, floor):>8} "
                f"{_ratio(median, ours):>9} {_number(row.cpu, 8, 3)} {_number(row.pss_mib, 8, 1)}  {row.note}"
            )
    return "\n".join(lines)


def _number(value: float | None, width: int, digits: int) -> str:
    return " " * (width - 1) + "-" if value is None else f"{value:{width}.{digits}f}"


def _ratio(value: float | None, base: float | None) -> str:
    return "-" if value is None or not base else f"{value / base:.2f}"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", default=DEFAULT, help="comma-separated")
    parser.add_argument("--peers", default="annexd,annexd-locked,git-annex,syncthing", help="comma-separated")
    parser.add_argument("--files", type=int, default=10000, help="files in sync before measuring")
    parser.add_argument("--many", type=int, default=10000, help="files of the large SMALL run")
    parser.add_argument("--no-preload", action="store_true", help="measure in an empty repository")
    parser.add_argument("--large-mib", type=int, default=1024)
    parser.add_argument("--get-mib", type=int, default=128, help="size of each of the 8 large files of GET")
    parser.add_argument("--scan-keys", type=int, default=100_000, help="keys in the tree for SCAN")
    parser.add_argument("--deferred", type=int, default=1_000_000, help="downloads without a source for DEFERRED")
    parser.add_argument("--rounds", type=int, default=30, help="latency rounds")
    parser.add_argument("--runs", type=int, default=3, help="runs of the other workloads")
    parser.add_argument("--idle", type=float, default=60, help="seconds of idling measured")
    parser.add_argument("--dir", default=None, help="where to work (default: the system's temporary directory)")
    parser.add_argument("--worn", action="store_true", help="measure on the file system as it is, not on a new one")
    parser.add_argument("--json", default=None, help="also write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="fewer files and rounds")
    args = parser.parse_args()
    if args.quick:
        args.files, args.many, args.rounds, args.runs, args.idle, args.large_mib = 1000, 2000, 10, 1, 10, 256
        args.scan_keys, args.deferred = 20_000, 100_000
    return args


def main() -> int:
    args = parse()
    wanted = set(args.only.split(","))
    results: list[Result] = []
    with work_directory(args.dir, fresh=not args.worn) as top:
        source = top / "large.bin"
        if "large" in wanted:
            with open(source, "wb") as file:
                for _ in range(args.large_mib):
                    file.write(os.urandom(1 << 20))
        if "latency" in wanted:
            results.append(floors.latency_floor(top))
        for label, count in (("small1000", 1000), ("small10000", args.many)):
            if label in wanted:
                results.append(workloads.repeat([floors.small_floor(top, count) for _ in range(args.runs)]))
        if "large" in wanted:
            results.append(floors.large_floor(top, source))
        if "get" in wanted:
            who = [name for name in ("annexd", "git-annex") if name in args.peers and available(name)]
            results.extend(getting.Get(top, args.get_mib).results(args.runs, who))
            print(table(results), "\n", flush=True)
        if "checkout" in wanted:
            results.extend(checking_out.checkout(top / "checkout", args.many, args.runs))
            remove(top / "checkout")
            print(table(results), "\n", flush=True)
        for label, measure, count in (
            ("scan", scanning.scan, args.scan_keys), ("deferred", scanning.deferred, args.deferred),
            ("revert", reverting.revert, args.many),
        ):  # fmt: skip
            if label in wanted:
                results.extend(measure(top / label, count))
                remove(top / label)
                print(table(results), "\n", flush=True)
        for name in args.peers.split(",") if wanted - WITHOUT_PEERS else ():
            if not available(name):
                results.append(Result("(set-up)", name, note="not installed: left out"))
                continue
            results.extend(run_peer(name, top, wanted, args, source))
            print(table(results), "\n", flush=True)
    print(table(results))
    if args.json:
        rows = [vars(r) | {"median": r.median, "p95": r.percentile(0.95)} for r in results]
        Path(args.json).write_text(json.dumps(rows, indent=1))
    return 1 if any("FAILED" in r.note and r.who.startswith("annexd") for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
