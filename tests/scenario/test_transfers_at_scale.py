"""The figures that scan and deferred downloads are held to; `make bench` measures the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import scanning
from tests.support.machine import busy_factor

MIB = 50.0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_remote_that_lacks_fifty_of_a_hundred_thousand_keys_gets_them_queued_at_once(tmp_path: Path) -> None:
    floor, all_first, new, back = scanning.scan(tmp_path, 100_000)
    _show(floor, all_first, new, back)
    slow = busy_factor()
    assert new.seconds[0] <= 3.0 * slow
    assert all_first.seconds[0] <= 3.0 * slow + 1.0     # the table of keys is made as well
    assert max(back.seconds) <= 0.3 * slow


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_deferred_downloads_take_little_memory_and_no_time(tmp_path: Path) -> None:
    filled, push, found = scanning.deferred(tmp_path, 1_000_000)
    _show(filled, push, found)
    slow = busy_factor()
    assert filled.pss_mib is not None
    assert filled.pss_mib <= MIB
    assert push.median is not None
    assert push.median <= 0.010 * slow


def _show(*results: scanning.Result) -> None:
    for result in results:
        seconds = " ".join(f"{second:.4f}" for second in result.seconds)
        print(f"{result.workload}: {result.who}: {seconds} s {result.pss_mib or ''} {result.note}")
