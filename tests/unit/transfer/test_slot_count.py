"""How many transfers run at a time."""

from __future__ import annotations

import os

import pytest

from annexd.annex.config import RemoteConfig
from annexd.formats.uuid import UUID
from annexd.remotes.contract import ContentSupport, RemoteKind, RemoteSpec
from annexd.transfer.slot_count import DEFAULT_SLOTS, MOST_SLOTS, slots_for, slots_wanted


@pytest.mark.parametrize(
    ("jobs", "wanted"),
    [(None, DEFAULT_SLOTS), ("1", 1), ("7", 7), ("0", DEFAULT_SLOTS), ("many", DEFAULT_SLOTS), ("-3", DEFAULT_SLOTS),
     ("1000000", MOST_SLOTS), ("cpus", len(os.sched_getaffinity(0)))],
)  # fmt: skip
def test_annex_jobs_gives_the_number(jobs: str | None, wanted: int) -> None:
    assert slots_wanted(jobs) == wanted


@pytest.mark.parametrize(
    ("setting", "slots", "wanted"),
    [(None, 1, 1), (None, 4, 3), ("1", 4, 1), ("4", 4, 4), ("9", 4, 4), ("no", 4, 3)],
)
def test_a_remote_gets_what_its_setting_says_or_leaves_one_for_the_others(
    setting: str | None, slots: int, wanted: int
) -> None:
    settings = (("annex-jobs", setting),) if setting is not None else ()
    config = RemoteConfig("r", settings=settings)
    spec = RemoteSpec("r", UUID(b"r"), RemoteKind.GIT_LOCAL, 100.0, None, None, config, True, ContentSupport())
    assert slots_for(spec, slots) == wanted
    assert slots_for(None, slots) == max(1, slots - 1)
