"""The kernel tells of fewer events than there were: what was changed meanwhile is found by looking."""

from __future__ import annotations

import os

import pytest

from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, paused
from tests.support.privileges import with_few_watches

FOLDERS = 40
WATCHES = 12
QUEUE_LIMIT = "/proc/sys/fs/inotify/max_queued_events"


def test_a_full_event_queue_leads_to_a_scan_that_finds_the_lost_file(pair: Pair) -> None:
    pair.start()
    pair.assert_syncs("before.txt")
    daemon = pair.a.running
    assert daemon is not None
    with open(QUEUE_LIMIT, encoding="ascii") as file:
        limit = int(file.read())
    if limit > 200_000:
        pytest.skip("the queue is too long here to be filled in a test")
    with paused(daemon):
        first, second = (os.open(pair.a.path(name), os.O_CREAT | os.O_WRONLY) for name in ("one.tmp", "two.tmp"))
        for mode in range(limit // 2 + 2000):     # two files in turn, as equal events in a row count once
            os.fchmod(first, 0o600 | mode % 2)
            os.fchmod(second, 0o600 | mode % 2)
        os.close(first)
        os.close(second)
        pair.a.write("lost.txt", b"no event told of it\n")
        pair.a.write("in/a/new/folder/lost.txt", b"nor of this\n")
        pair.a.path("before.txt").unlink()
    eventually(lambda: pair.b.has("lost.txt", b"no event told of it\n"), SYNC_LIMIT, "the lost file at the other side")
    eventually(lambda: pair.b.has("in/a/new/folder/lost.txt", b"nor of this\n"), SYNC_LIMIT, "the one in a new folder")
    eventually(lambda: not pair.b.path("before.txt").exists(), SYNC_LIMIT, "the removal at the other side")
    assert "watch.overflowed" in daemon.log()
    pair.a.write("in/a/new/folder/next.txt", b"watched again\n")
    eventually(lambda: pair.b.has("in/a/new/folder/next.txt", b"watched again\n"), SYNC_LIMIT, "an event")


def fill_folders(pair: Pair) -> None:
    for number in range(FOLDERS):
        pair.a.write(f"folder-{number}/file", b"%d\n" % number)


def test_too_few_watches_are_told_with_the_sysctl_to_raise(pair: Pair) -> None:
    wrapper = with_few_watches(WATCHES)
    fill_folders(pair)
    pair.b.start()
    pair.a.spawn(wrapper)
    told = pair.a.wait_for_alert("watch-limit")
    assert "fs.inotify.max_user_watches" in told
    for number in range(FOLDERS):       # the scan at the start needs no watches
        eventually(lambda n=number: pair.b.has(f"folder-{n}/file", b"%d\n" % n), SYNC_LIMIT)
    pair.assert_syncs("at the top, which is watched.txt")


@pytest.mark.slow
def test_with_too_few_watches_changes_are_found_by_scans(pair: Pair) -> None:
    wrapper = with_few_watches(WATCHES)
    fill_folders(pair)
    pair.b.start()
    pair.a.spawn(wrapper)
    pair.a.wait_for_alert("watch-limit")
    for number in range(FOLDERS):
        pair.a.write(f"folder-{number}/later", b"later\n")
    for number in range(FOLDERS):
        eventually(lambda n=number: pair.b.has(f"folder-{n}/later", b"later\n"), 60, "a scan finds it")


def test_no_watch_at_all_is_told_and_the_daemon_works_on(pair: Pair) -> None:
    wrapper = with_few_watches(0)
    pair.a.write("at-start.txt", b"found by the scan\n")
    pair.b.start()
    pair.a.spawn(wrapper)
    assert "fs.inotify.max_user_watches" in pair.a.wait_for_alert("watch-limit")
    eventually(lambda: pair.b.has("at-start.txt", b"found by the scan\n"), SYNC_LIMIT)
