"""Very many files arrive, are removed at once and brought back by git: in bounded time and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import reverting
from tests.support.machine import busy_factor

MIB = 200.0                 # of one daemon with its helpers, at 10,000 files
SECONDS_A_THOUSAND = 6.0


@pytest.mark.parametrize(
    "count", [500, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_what_was_removed_comes_back(tmp_path: Path, clean_environment: dict[str, str], count: int) -> None:
    results = reverting.revert(tmp_path, count)
    for result in results:
        figures = f"{result.seconds[0]:.1f} s, CPU {result.cpu:.1f} s, {result.pss_mib:.0f} MiB"
        print(f"{result.who}: {figures} {result.note}")
    slow = busy_factor()
    for result in results:
        assert result.seconds[0] <= (5.0 + SECONDS_A_THOUSAND * count / 1000) * slow, result
        assert result.pss_mib is not None
        assert result.pss_mib <= MIB, result
