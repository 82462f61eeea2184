"""Paths in the work tree that cannot or must not be taken in: each is named to a person, and all else goes on."""

from __future__ import annotations

import os
import shutil
import socket
import stat

import pytest

from tests.interop.oracle import Oracle
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, Side
from tests.support.privileges import bound_by_permissions
from tests.support.repositories import git, make_git_repo

ODD_NAMES = (
    b"caf\xe9.txt",                         # Latin-1
    b"\xff\xfe\x80",
    b"two\nlines.txt",
    b"tab\there",
    b'quo"te\\back.txt',
    b" leading and trailing ",
    b"-rf",
    b"--help",
    b":(glob)*",
    b"a%b&c:d;e.t:x",
    b"*?[x].txt",
    b"\x1b[31mred\x7f",
    "ünï/çødé/☃.txt".encode(),
    b"n" * 251 + b".txt",                   # 255 bytes
    b"\xe9" * 255,
    b"deep/" * 50 + b"file",
    b".hidden/.file",
    b"trailing.dot.",
    b"file.with-a-very-long-extension.abcdefghijklmnop",
)


def test_fifo_socket_and_device_are_named_and_left_alone(running_pair: Pair) -> None:
    a = running_pair.a
    os.mkfifo(a.path("pipe.fifo"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(a.path("the.socket")))
        a.wait_for_alert("special", "pipe.fifo", "the.socket")
        if os.geteuid() == 0:
            os.mknod(a.path("null.device"), stat.S_IFCHR | 0o600, os.makedev(1, 3))
            a.wait_for_alert("special", "null.device")
        running_pair.assert_syncs("beside-specials.txt")
        assert not {b"pipe.fifo", b"the.socket", b"null.device"} & set(a.committed())
    for name in ("pipe.fifo", "the.socket", "null.device"):
        a.path(name).unlink(missing_ok=True)
    eventually(lambda: "special" not in a.alerts(), SYNC_LIMIT, "the alert's end when they are gone")


def test_a_file_that_becomes_a_fifo_is_deleted_at_the_other_side(running_pair: Pair) -> None:
    a, b = running_pair
    running_pair.assert_syncs("becomes.fifo")
    a.path("becomes.fifo").unlink()
    os.mkfifo(a.path("becomes.fifo"))
    a.wait_for_alert("special", "becomes.fifo")
    eventually(lambda: not b.path("becomes.fifo").exists(), SYNC_LIMIT, "the end of the file that it was")
    a.path("becomes.fifo").unlink()


@pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: repr(name[:20]))
def test_any_name_that_a_file_can_have_arrives(running_pair: Pair, name: bytes) -> None:
    a, b = running_pair
    content = b"content of " + name
    a.write(name, content)
    eventually(lambda: b.has(name, content), SYNC_LIMIT, f"{name!r} at the other side")


def test_a_file_with_an_odd_name_is_edited_renamed_and_deleted(running_pair: Pair) -> None:
    a, b = running_pair
    old, new = b"odd\n\xe9" + b"o" * 249, b"n" * 249 + b"\xe9\n"
    a.write(old, b"first")
    eventually(lambda: b.has(old, b"first"), SYNC_LIMIT)
    b.write(old, b"second, from there")
    eventually(lambda: a.has(old, b"second, from there"), SYNC_LIMIT)
    os.rename(a.path(old), a.path(new))
    eventually(lambda: b.has(new, b"second, from there") and not b.path(old).exists(), SYNC_LIMIT)
    b.path(new).unlink()
    eventually(lambda: not a.path(new).exists(), SYNC_LIMIT)


def test_git_status_asked_at_once_is_clean_in_the_end_though_filters_do_not_take_the_name(running_pair: Pair) -> None:
    """git asks git-annex's filter about files as young as its index, and notes what that makes of them."""
    a, b = running_pair
    name = b"asked\nat once.txt"
    a.write(name, b"young\n")
    eventually(lambda: b.has(name, b"young\n"), SYNC_LIMIT)
    for _ in range(10):
        for side in running_pair:
            side.git("status", "--porcelain")
    running_pair.settle()


def test_files_that_vanish_at_once_leave_no_trace(running_pair: Pair) -> None:
    a = running_pair.a
    for number in range(300):
        a.write(f"vanish-{number}", b"gone in a moment").unlink()
    for number in range(50):
        a.write(f"fleeting/{number}/file", b"gone with its directory").unlink()
        a.path(f"fleeting/{number}").rmdir()
    running_pair.assert_syncs("after-vanishing.txt")
    running_pair.settle()
    assert not [path for path in a.committed() if path.startswith((b"vanish", b"fleeting"))]
    assert "vanish" not in a.alerts()


def test_a_repository_in_the_work_tree_is_named_and_left_alone(running_pair: Pair) -> None:
    a = running_pair.a
    inner = make_git_repo(a.path("inner"))
    (inner / "file").write_bytes(b"theirs\n")
    git(inner, "add", "file")
    git(inner, "commit", "-q", "-m", "theirs")
    (inner / "sub").mkdir()
    (inner / "sub/loose").write_bytes(b"theirs as well\n")
    a.wait_for_alert("embedded", "inner")
    running_pair.assert_syncs("beside-inner.txt")
    assert not [path for path in a.committed() if path.startswith(b"inner")]
    assert git(inner, "status", "--porcelain") == b"?? sub/\n"


def test_a_symbolic_link_to_nowhere_or_to_itself_is_a_link(running_pair: Pair) -> None:
    a, b = running_pair
    for name, target in (("broken", "/nowhere/at/all"), ("loop", "loop"), ("up", "../../outside")):
        a.path(name).symlink_to(target)
        eventually(lambda n=name, t=target: _link(b, n) == t, SYNC_LIMIT)
    a.path("loop").unlink()
    eventually(lambda: _link(b, "loop") is None, SYNC_LIMIT)


def test_all_that_is_sound_in_the_end(running_pair: Pair, oracle: Oracle) -> None:
    """After every test of this file, on the same repositories."""
    for side in running_pair:
        assert side.running is not None and side.running.is_running()
        assert not side.status().get("parked"), side.status()
    shutil.rmtree(running_pair.a.path("inner"), ignore_errors=True)
    running_pair.assert_syncs("at the end.txt")
    running_pair.rest()
    running_pair.stop()
    for side in running_pair:
        oracle.assert_sound(side.repo)


def test_unreadable_files_and_directories_are_named_until_they_can_be_read(pair: Pair) -> None:
    a, b = pair
    a.write("secret.txt", b"a secret\n").chmod(0)
    a.write("closed/inside.txt", b"inside\n")
    a.path("closed").chmod(0)
    b.start()
    a.spawn(bound_by_permissions())
    try:
        a.wait_for_alert("secret.txt")
        a.wait_for_alert("closed")
        a.write("later.txt", b"a later secret\n").chmod(0)
        a.wait_for_alert("later.txt")
        pair.assert_syncs("readable.txt")
        assert not {b"secret.txt", b"later.txt", b"closed/inside.txt"} & set(a.committed())
    finally:
        a.path("closed").chmod(0o755)
    for name in ("secret.txt", "later.txt"):
        a.path(name).chmod(0o644)
    for name, content in (("secret.txt", b"a secret\n"), ("closed/inside.txt", b"inside\n")):
        eventually(lambda n=name, c=content: b.has(n, c), SYNC_LIMIT, f"{name}, now that it can be read")
    eventually(lambda: "unreadable" not in a.alerts(), SYNC_LIMIT, "the alert's end")


def test_a_known_file_that_becomes_unreadable_is_not_lost(pair: Pair) -> None:
    a, b = pair
    b.start()
    a.spawn(bound_by_permissions())
    a.write("closed/inside.txt", b"inside\n")
    eventually(lambda: b.has("closed/inside.txt", b"inside\n"), SYNC_LIMIT)
    a.path("closed").chmod(0)
    try:
        pair.assert_syncs("beside-closed.txt")
        a.stop()
        a.spawn(bound_by_permissions())
        pair.assert_syncs("beside-closed-2.txt")
        a.wait_for_alert("closed")
        assert b"closed/inside.txt" in a.committed()
        assert b.has("closed/inside.txt", b"inside\n")
    finally:
        a.path("closed").chmod(0o755)


def _link(side: Side, name: str) -> str | None:
    try:
        return os.readlink(side.path(name))
    except OSError:
        return None
