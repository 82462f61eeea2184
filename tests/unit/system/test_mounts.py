"""The mount table."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.errors import FormatError
from annexd.system.mounts import Mount, MountPoller, parse_mount, read_mounts
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal

LINE = rb"36 35 98:0 / /mnt/my\040usb\134x rw,noatime shared:1 master:2 - ext4 /dev/disk\040one rw,errors=continue"


def test_a_line_is_read_with_its_escapes() -> None:
    assert parse_mount(LINE) == Mount(b"/dev/disk one", b"/mnt/my usb\\x", b"ext4", b"rw,noatime")


def test_a_line_without_optional_fields_is_read() -> None:
    assert parse_mount(b"1 0 0:1 / / rw - tmpfs none rw\n") == Mount(b"none", b"/", b"tmpfs", b"rw")


@given(st.binary())
def test_any_other_line_is_a_format_error(line: bytes) -> None:
    with suppress(FormatError):
        parse_mount(line)


def test_the_root_is_mounted() -> None:
    assert b"/" in {mount.point for mount in read_mounts()}


def test_waiting_ends_with_the_stop_signal_and_at_the_timeout() -> None:
    poller, stop, results = MountPoller(), StopSignal(), list[bool]()
    poller.wait(stop, 0)
    assert poller.wait(stop, 0.01) is False
    thread = NamedThread("mounts", lambda: results.append(poller.wait(stop)))
    thread.start()
    stop.set()
    assert thread.join(Deadline(5))
    assert results == [False]
    poller.close()


def test_a_new_mount_is_noticed(tmp_path: Path) -> None:
    poller, stop = MountPoller(), StopSignal()
    poller.wait(stop, 0)
    point = tmp_path / "mount point"
    point.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", point], capture_output=True)
    if done.returncode != 0:
        poller.close()
        pytest.skip("mounting is not allowed here")
    try:
        assert poller.wait(stop, 5)
        assert os.fsencode(point) in {mount.point for mount in read_mounts()}
    finally:
        subprocess.run(["umount", point], check=True)
        poller.close()
