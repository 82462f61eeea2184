"""How fast content may move: what settings mean, and that it is kept by all transfers together."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.errors import ConfigError, TransferCancelled
from annexd.formats.transfer_info import Direction
from annexd.formats.units import parse_duration
from annexd.git.config import set_config
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.transfer.limiter import Bucket, Limiter, limiter_of
from annexd.transfer.meter import StopReason, TransferMeter
from annexd.transfer.speed_settings import Limit, Probe, SpeedSettings, StallRule
from annexd.transfer.stalls import StallWatch
from tests.support.annexes import make_annex

UP, DOWN = Direction.UPLOAD, Direction.DOWNLOAD


def settings(**values: str) -> SpeedSettings:
    """`annex_x=` for annex.x, `usb_x=` for remote.usb.annex-x."""
    named = {}
    for name, value in values.items():
        who, _, what = name.partition("_")
        start = "annex." if who == "annex" else f"remote.{who}.annex-"
        named[start + what.replace("_", "-")] = value
    return SpeedSettings.load(named, ("usb",))  # type: ignore[arg-type]


@pytest.mark.parametrize(("values", "upload", "download"), [
    ({}, None, None),
    ({"annex_bwlimit": "1kB"}, 1000, 1000),
    ({"annex_bwlimit": "1MiB", "annex_bwlimit_upload": "5kB"}, 5000, 1 << 20),
    ({"annex_bwlimit_download": "7kB", "usb_bwlimit": "9kB"}, 9000, 9000),
    ({"usb_bwlimit": "9kB", "usb_bwlimit_download": "8kB"}, 9000, 8000),
    ({"annex_bwlimit": "junk"}, None, None),
    ({"annex_bwlimit": "0"}, None, None),
    ({"annex_bwlimit": "3kB", "usb_bwlimit": "junk"}, 3000, 3000),
], ids=str)
def test_a_remotes_own_limit_counts_before_that_for_all(
    values: dict[str, str], upload: int | None, download: int | None
) -> None:
    found = settings(**values)
    rates = [limit.rate if (limit := found.limit("usb", way)) else None for way in (UP, DOWN)]
    assert rates == [upload, download]


def test_transfers_share_a_limit_by_the_setting_that_they_fall_under() -> None:
    found = settings(annex_bwlimit="1kB", usb_bwlimit_upload="2kB")
    assert found.limit("other", UP) == found.limit("usb", DOWN) == Limit("annex.bwlimit", 1000)
    assert found.limit("usb", UP) == Limit("remote.usb.annex-bwlimit-upload", 2000)


@pytest.mark.parametrize(("value", "rule"), [
    ("1KB/30s", StallRule(1000, 30)),
    ("1MB/1m", StallRule(1_000_000, 60)),
    ("10MiB/1h5m", StallRule(10 << 20, 3900)),
    ("true", Probe.PROBE),
    ("false", None),
    ("1KB", None),
    ("1KB/0s", None),
    ("junk", None),
])
def test_stall_detection_is_an_amount_in_a_time_or_a_boolean(value: str, rule: object) -> None:
    assert settings(annex_stalldetection=value).stall("usb", DOWN) == rule


def test_a_remotes_own_stall_detection_counts_first() -> None:
    both = settings(annex_stalldetection="5MB/1s", usb_stalldetection="1KB/30s")
    assert both.stall("usb", UP) == StallRule(1000, 30)
    assert both.stall("other", UP) == StallRule(5_000_000, 1)
    assert settings(annex_stalldetection="5MB/1s", usb_stalldetection="false").stall("usb", UP) is None


@given(st.text())
def test_no_text_makes_a_duration_fail_in_another_way(text: str) -> None:
    with suppress(ConfigError):
        assert parse_duration(text) >= 0


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1h5m", 3900), ("2d", 172800), ("1y", 31536000)])
def test_durations_are_numbers_with_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=60), st.integers(100, 100_000))
def test_no_more_passes_than_the_rate_and_one_piece(pieces: list[int], rate: int) -> None:
    now = [0.0]
    bucket = Bucket(rate, lambda: now[0])
    for piece in pieces:
        bucket.spend(piece)
        now[0] += bucket.wait_seconds()
    assert sum(pieces) <= rate * now[0] + rate * 0.05 + 1
    assert sum(pieces) >= rate * now[0] - 1      # and it waits no longer than it must


def test_a_debt_is_worked_off_at_the_new_rate() -> None:
    now = [0.0]
    bucket = Bucket(100, lambda: now[0])
    bucket.spend(1000)
    assert bucket.wait_seconds() == pytest.approx(10)
    bucket.set_rate(1000)
    assert bucket.wait_seconds() == pytest.approx(1)


def test_slots_together_keep_to_the_rate() -> None:
    limiter = Limiter(lambda: SpeedSettings({"annex.bwlimit": "2MB"}))
    moved = []

    def work() -> None:
        meter = TransferMeter(pacer=limiter.pacer("usb", DOWN))
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            meter.update(meter.done + meter.step)
        moved.append(meter.done)

    threads = [NamedThread(f"t{n}", work) for n in range(4)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        assert thread.join(Deadline(20))
    assert sum(moved) / (time.monotonic() - start) == pytest.approx(2_000_000, rel=0.05)


def test_a_limit_is_taken_up_and_given_up_while_a_transfer_runs(tmp_path: Path) -> None:
    with make_annex(tmp_path / "annex") as state:
        limiter = limiter_of(state, {})
        meter = TransferMeter(pacer=limiter.pacer("usb", DOWN))
        assert not meter.is_limited
        set_config(state.repo, "annex.bwlimit", "1kB")
        deadline = Deadline(10)
        while not meter.is_limited and not deadline.expired():
            meter.update(meter.done + 1)
        assert meter.is_limited
        timer = threading.Timer(0.2, lambda: set_config(state.repo, "annex.bwlimit", "100MB"))
        timer.start()
        meter.update(meter.done + 1_000_000)        # a thousand seconds at the old speed
        timer.join()
        assert not deadline.expired()


def test_a_transfer_that_waits_for_bandwidth_can_be_stopped() -> None:
    limiter = Limiter(lambda: SpeedSettings({"annex.bwlimit": "1"}))
    meter = TransferMeter(pacer=limiter.pacer("usb", DOWN))
    timer = threading.Timer(0.1, lambda: meter.stop(StopReason.PAUSED))
    timer.start()
    with pytest.raises(TransferCancelled):
        meter.update(10_000)
    timer.join()


def test_settings_that_cannot_be_read_leave_the_limit_as_it_was() -> None:
    answers = iter([SpeedSettings({"annex.bwlimit": "5kB"})])
    now = [0.0]

    def load() -> SpeedSettings:
        for answer in answers:
            return answer
        raise ConfigError("half-written")

    limiter = Limiter(load, lambda: now[0], monotonic=lambda: now[0])
    assert limiter.limits(("usb",)) == {("usb", UP): 5000, ("usb", DOWN): 5000}
    now[0] = 10.0
    assert limiter.limits(("usb",)) == {("usb", UP): 5000, ("usb", DOWN): 5000}


def stalled_at(watch: StallWatch, progress: dict[int, int], *, until: int = 600) -> int | None:
    """The second at which it stalls, looked at each second; `progress` says when how many bytes were there."""
    done = 0
    for second in range(until):
        done = progress.get(second, done)
        if watch.look(second, done, 1000):
            return second
    return None


def test_a_transfer_stalls_when_a_period_brings_too_little() -> None:
    assert stalled_at(StallWatch(StallRule(100, 30), 0), {1: 10, 20: 500}) == 61


def test_steady_progress_never_stalls() -> None:
    assert stalled_at(StallWatch(StallRule(10, 10), 0), {n: n for n in range(1, 600)}) is None


def test_a_transfer_that_never_begins_gets_more_time_and_then_stalls() -> None:
    assert stalled_at(StallWatch(StallRule(1, 5), 0), {}) == 60


def test_large_pieces_that_come_slowly_are_no_stall() -> None:
    assert stalled_at(StallWatch(StallRule(10, 10), 0), {n: n for n in range(0, 600, 25)}) is None


def test_what_is_complete_does_not_stall_while_it_is_verified() -> None:
    assert stalled_at(StallWatch(StallRule(1, 5), 0), {1: 1000}) is None


def test_probing_needs_steady_progress_before_it_calls_a_stall() -> None:
    assert stalled_at(StallWatch(Probe.PROBE, 0), {5: 1, 10: 2, 15: 3}) == 75
    assert stalled_at(StallWatch(Probe.PROBE, 0), {5: 1, 100: 2}) is None
    assert stalled_at(StallWatch(None, 0), {5: 1}) is None
