"""Damaged files of git's and the annex's own: told, kept or set aside, and worked around."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import pytest

from tests.interop.oracle import Oracle
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, Side

GARBAGE = b"\x00\xff garbage \xfe\n\nnot a line of any log\n1700000000s\n=\t\n"
LOGS = ("uuid.log", "trust.log", "group.log", "numcopies.log", "config.log", "remote.log", "preferred-content.log")


def add_to_branch(side: Side, files: Mapping[str, bytes]) -> None:
    """Append to files of the git-annex branch, by git alone."""
    tip = side.git("rev-parse", "refs/heads/git-annex").strip().decode()
    stream = b"commit refs/heads/git-annex\ncommitter T <t@t> 1700000000 +0000\ndata 4\nbad\n\nfrom %b\n" % tip.encode()
    for path, data in files.items():
        with suppress(AssertionError):      # a new file
            data = side.git("show", f"{tip}:{path}") + data
        stream += b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(data), data)
    side.git("fast-import", "--quiet", stdin=stream)


def test_lines_of_logs_that_mean_nothing_are_passed_over_and_kept(pair: Pair, oracle: Oracle) -> None:
    add_to_branch(pair.a, dict.fromkeys(LOGS, GARBAGE) | {"nonsense/of/others.log": GARBAGE})
    pair.start()
    pair.assert_syncs("one.txt")
    pair.a.wait_for_alert("make no sense", "uuid.log", "numcopies.log")
    key = oracle.annex(pair.a.repo, "lookupkey", "one.txt").strip()
    log = next(n for n in oracle.git(pair.a.repo, "ls-tree", "-r", "--name-only", "git-annex").split() if key in n)
    add_to_branch(pair.a, {log: b"garbage \xff\n1700000000.5s 2 not-a-status\n"})
    pair.assert_syncs("two.txt")
    pair.a.path("one.txt").rename(pair.a.path("three.txt"))
    eventually(lambda: pair.b.has("three.txt", b"one.txt is well\n"), SYNC_LIMIT)
    pair.rest()
    pair.stop()
    for name in LOGS:
        kept = pair.b.git("show", f"git-annex:{name}")
        assert b"not a line of any log\n" in kept, f"{name} lost a line that we do not understand"
    assert b"not-a-status" in pair.b.git("show", f"git-annex:{log}")
    assert f'"file": "{log}"' in pair.a.said() + pair.b.said()     # whoever read it told of it


def test_damaged_files_in_the_journal_do_not_stop_the_branch(pair: Pair, oracle: Oracle) -> None:
    journal = pair.a.repo / ".git/annex/journal"
    journal.mkdir(exist_ok=True)
    journal.joinpath("aaa_bbb_SHA256E-s3--cut.log").write_bytes(b"1700000000s 1 00000000-0000")     # cut off
    journal.joinpath("uuid.log").write_bytes(pair.a.git("show", "git-annex:uuid.log") + GARBAGE)
    journal.joinpath("no key in this.log").write_bytes(b"")
    journal.joinpath("...___..___up.log").write_bytes(GARBAGE)
    journal.joinpath("a directory").mkdir()
    pair.start()
    pair.assert_syncs("one.txt")
    pair.b.write("two.txt", b"two\n")
    eventually(lambda: pair.a.has("two.txt", b"two\n"), SYNC_LIMIT)
    pair.rest()
    pair.stop()
    assert "annex/journal/a directory" in pair.a.said()
    oracle.git(pair.a.repo, "fsck", "--strict", "--no-dangling")
    assert len(oracle.whereis(pair.a.repo)["one.txt"]) == 2


@pytest.mark.parametrize("damage", [b"", b"not an index at all", b"DIRC\x00\x00\x00\x02\x00\x00\x00\xffcut"], ids=len)
def test_a_damaged_index_is_set_aside_and_made_anew(pair: Pair, oracle: Oracle, damage: bytes) -> None:
    pair.start()
    pair.assert_syncs("one.txt")
    pair.settle()
    pair.a.repo.joinpath(".git/index").write_bytes(damage)
    pair.assert_syncs("while it runs.txt")
    assert "index" in pair.a.alerts() + pair.a.log()
    pair.settle()
    pair.a.stop()
    pair.a.repo.joinpath(".git/index").write_bytes(damage)
    pair.a.write("while it is down.txt", b"written while it is down\n")
    pair.a.path("one.txt").unlink()
    pair.a.start()
    eventually(lambda: pair.b.has("while it is down.txt", b"written while it is down\n"), SYNC_LIMIT)
    eventually(lambda: not pair.b.path("one.txt").exists(), SYNC_LIMIT, "a removal that happened meanwhile")
    pair.rest()
    pair.stop()
    oracle.assert_sound(pair.a.repo)
    oracle.assert_sound(pair.b.repo)


def test_a_lost_index_is_no_deletion_of_everything(pair: Pair, oracle: Oracle) -> None:
    pair.start()
    pair.assert_syncs("one.txt")
    pair.assert_syncs("folder/two.txt")
    pair.settle()
    pair.a.repo.joinpath(".git/index").unlink()
    pair.assert_syncs("while it runs.txt")
    assert pair.b.has("one.txt", b"one.txt is well\n") and pair.b.path("folder/two.txt").exists()
    pair.settle()
    pair.a.stop()
    pair.a.repo.joinpath(".git/index").unlink()
    pair.a.path("one.txt").unlink()         # nobody can tell any more whether it was deleted
    pair.a.write("while it is down.txt", b"written while it is down\n")
    pair.a.start()
    eventually(lambda: pair.b.has("while it is down.txt", b"written while it is down\n"), SYNC_LIMIT)
    eventually(lambda: pair.a.has("one.txt", b"one.txt is well\n"), SYNC_LIMIT)
    pair.rest()
    pair.stop()
    assert pair.b.has("one.txt", b"one.txt is well\n") and pair.b.path("folder/two.txt").exists()
    oracle.assert_sound(pair.a.repo)


def test_a_damaged_index_of_the_annex_is_made_anew(pair: Pair, oracle: Oracle) -> None:
    pair.start()
    pair.assert_syncs("one.txt")
    oracle.annex(pair.a.repo, "describe", "here", "described by git-annex")     # makes git-annex build its index
    index = pair.a.repo / ".git/annex/index"
    index.write_bytes(b"not an index")
    pair.assert_syncs("two.txt")
    pair.a.stop()
    index.write_bytes(b"not an index")
    pair.a.repo.joinpath(".git/annex/index.lck").unlink(missing_ok=True)
    pair.a.start()
    pair.assert_syncs("three.txt")
    pair.rest()
    pair.stop()
    assert "described by git-annex" in oracle.annex(pair.b.repo, "info", "--fast")
    oracle.assert_sound(pair.a.repo)


@pytest.mark.parametrize(
    "text",
    [
        b"/annex/objects/",
        b"/annex/objects/\n",
        b"/annex/objects/not a key\n",
        b"/annex/objects/SHA256E-s-5--x\n",
        b"/annex/objects/../../../../etc/passwd\n",
        b"/annex/objects/SHA256E-s3--" + b"a" * 400 + b"\n",
        b"/annex/objects/SHA256E-s3--ba7816bf\nwith more text that no pointer has",
    ],
    ids=lambda text: repr(text[15:35]),
)
def test_text_that_only_looks_like_a_pointer_is_content(running_pair: Pair, text: bytes) -> None:
    a, b = running_pair
    name = f"looks-like-{hash(text) & 0xFFFFFF}"
    a.write(name, text)
    eventually(lambda: b.has(name, text), SYNC_LIMIT, f"{text!r} as it is at the other side")
    running_pair.assert_syncs(name + "-next")


def test_a_pointer_to_content_that_nobody_has_stays_a_pointer(running_pair: Pair) -> None:
    a, b = running_pair
    pointer = b"/annex/objects/SHA256E-s5--" + b"0" * 64 + b".txt\n"
    a.write("nowhere.txt", pointer)
    eventually(lambda: b.has("nowhere.txt", pointer), SYNC_LIMIT)
    running_pair.assert_syncs("beside-nowhere.txt")
    assert a.has("nowhere.txt", pointer)
