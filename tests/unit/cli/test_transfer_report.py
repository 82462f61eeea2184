"""The daemon's transfers as people read them."""

from __future__ import annotations

from typing import Any

from annexd.cli.transfer_report import bar_numbers, describe_transfers


def status(**changes: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("queued", "running", "held", "deferred", "failed"), 0)
    quiet: dict[str, Any] = {
        "transfers": {**counts, "paused": False, "slots": 2},
        "remotes": {"usb": {"waiting": 0, "paused": False, "available": True, "limits": {}}},
        "running": [], "queue": [], "held": [], "deferred": [], "failed": [],
    }  # fmt: skip
    quiet["transfers"].update(changes.pop("counts", {}))
    quiet["remotes"]["usb"].update(changes.pop("usb", {}))
    return quiet | changes


def item(**changes: Any) -> dict[str, Any]:
    return {"direction": "upload", "key": "K", "size": 5, "file": "f", "remotes": ["usb"], **changes}


def test_when_nothing_moves_there_is_one_line() -> None:
    assert list(describe_transfers(status())) == [
        "  transfers: 0 running in 2 slots, 0 waiting, 0 paused, 0 without a source, 0 failed"
    ]


def test_what_runs_has_its_speed_and_the_time_left() -> None:
    one = item(done=500_000, total=2_000_000, bytes_per_second=100_000, remote="usb", jobs=1)
    batch = item(direction="download", file=None, done=10, total=None, bytes_per_second=0, remote="usb", jobs=3)
    lines = list(describe_transfers(status(running=[one, batch], counts={"running": 2})))
    assert "    f to usb: 25%, 500 kB of 2 MB, 100 kB/s, 0:15 left" in lines
    assert "    K and 2 more from usb: 10 B" in lines


def test_everything_that_waits_says_for_what() -> None:
    queued = item(reason="usb is not there", advice="connect it", next_try=None)
    deferred = item(direction="download", remotes=[], reason="no remote has it", advice="", next_try=None)
    lines = list(describe_transfers(status(
        queue=[queued], deferred=[deferred], held=[item(reason="paused by hand", advice="resume it", next_try=None)],
        counts={"queued": 7, "deferred": 1, "held": 1},
    )))  # fmt: skip
    assert lines[1:] == [
        "  waiting:", "    f to usb: usb is not there (connect it)", "    and 6 more",
        "  paused:", "    f to usb: paused by hand (resume it)",
        "  waiting for a source:", "    f: no remote has it",
    ]  # fmt: skip


def test_failures_tell_the_error_and_the_next_try() -> None:
    failed = item(remote="usb", reason="disk full", attempts=3, next_try=42.0)
    lines = list(describe_transfers(status(failed=[failed], counts={"failed": 1})))
    assert "    f to usb: disk full (tried 3 times); next try in 0:42" in lines


def test_remotes_tell_what_holds_them_back() -> None:
    usb = {
        "waiting": 3, "running": 1, "paused": True, "available": False, "state": "closed", "reason": "I/O error",
        "opens_in": 5.0, "limits": {"upload": 1_000_000, "download": None},
    }  # fmt: skip
    lines = list(describe_transfers(status(usb=usb)))
    assert "    usb: 1 running, 3 waiting, paused, not there, uploads limited to 1 MB/s" in lines
    assert "    usb failed: I/O error; next try in 0:05" in lines


def test_numbers_are_left_out_as_long_as_nobody_knows_them() -> None:
    assert bar_numbers(5, None, None) == "5 B"
    assert bar_numbers(5, 10, None) == "50%, 5 B of 10 B"
    assert bar_numbers(10, 10, 5) == "100%, 10 B of 10 B, 5 B/s"
