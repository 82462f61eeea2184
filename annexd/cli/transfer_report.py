"""The transfers of a daemon as lines for people; made from what its control socket answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from annexd.formats.units import format_seconds, format_size_short

Facts = Mapping[str, Any]


def describe_transfers(status: Facts) -> Iterator[str]:
    """All that is known: counts, remotes, what runs, what waits and why, what failed."""
    yield _counts(status["transfers"])
    for name, remote in status["remotes"].items():
        yield from _remote(name, remote)
    counts = status["transfers"]
    yield from _section("running", [_running(item) for item in status["running"]], len(status["running"]))
    yield from _section("waiting", [_waiting(item) for item in status["queue"]], counts["queued"])
    yield from _section("paused", [_waiting(item) for item in status.get("held", ())], counts["held"])
    yield from _section("waiting for a source", [_waiting(item) for item in status["deferred"]], counts["deferred"])
    yield from _section("failed", [_failed(item) for item in status["failed"]], counts["failed"])


def bar_numbers(done: int, total: int | None, rate: float | None) -> str:
    """How far something is: percentage, amounts, speed, time left; as far as known."""
    words = []
    if total:
        words.append(f"{min(100, 100 * done // total)}%")
    words.append(f"{format_size_short(done)} of {format_size_short(total)}" if total else format_size_short(done))
    if rate:
        words.append(f"{format_size_short(round(rate))}/s")
        if total and total > done:
            words.append(f"{format_seconds((total - done) / rate)} left")
    return ", ".join(words)


def _counts(counts: Facts) -> str:
    paused = "; all are paused" if counts["paused"] else ""
    return (
        f"  transfers: {counts['running']} running in {counts['slots']} slots, {counts['queued']} waiting, "
        f"{counts['held']} paused, {counts['deferred']} without a source, {counts['failed']} failed{paused}"
    )


def _remote(name: str, remote: Facts) -> Iterator[str]:
    words = []
    if remote.get("running"):
        words.append(f"{remote['running']} running")
    if remote["waiting"]:
        words.append(f"{remote['waiting']} waiting")
    if remote["paused"]:
        words.append("paused")
    if not remote["available"]:
        words.append("not there")
    limits = remote.get("limits") or {}
    words += [f"{way}s limited to {format_size_short(rate)}/s" for way, rate in limits.items() if rate is not None]
    if words:
        yield f"    {name}: {', '.join(words)}"
    if remote.get("reason") and str(remote.get("state", "")).lower() not in ("open", "gatestate.open"):
        yield f"    {name} failed: {remote['reason']}{_in(remote.get('opens_in'))}"


def _section(title: str, lines: Sequence[str], count: int) -> Iterator[str]:
    if not lines:
        return
    yield f"  {title}:"
    for line in lines:
        yield f"    {line}"
    if count > len(lines):
        yield f"    and {count - len(lines)} more"


def _what(item: Facts) -> str:
    name = item.get("file") or item["key"]
    more = f" and {item['jobs'] - 1} more" if item.get("jobs", 1) > 1 else ""
    remotes = item.get("remotes") or ()
    if item["direction"] == "upload":
        return f"{name}{more} to {item.get('remote') or ', '.join(remotes)}"
    source = item.get("remote") or " or ".join(remotes)
    return f"{name}{more} from {source}" if source else f"{name}{more}"


def _running(item: Facts) -> str:
    return f"{_what(item)}: {bar_numbers(item['done'], item['total'], item['bytes_per_second'])}"


def _waiting(item: Facts) -> str:
    advice = f" ({item['advice']})" if item.get("advice") else ""
    return f"{_what(item)}: {item['reason']}{_in(item.get('next_try'))}{advice}"


def _failed(item: Facts) -> str:
    times = "once" if item["attempts"] == 1 else f"{item['attempts']} times"
    return f"{_what(item)}: {item['reason']} (tried {times}){_in(item['next_try'])}"


def _in(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return "; next try now" if seconds < 1 else f"; next try in {format_seconds(seconds)}"
