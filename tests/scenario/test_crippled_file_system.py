"""A daemon on a file system that keeps neither symlinks nor modes, and tells no case: exFAT; an ordinary one beside."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from annexd.annex.state import AnnexState
from annexd.assistant.control import send
from annexd.threads.deadline import Deadline
from tests.interop.oracle import Oracle
from tests.support.annexd import Annexd
from tests.support.crippled import exfat
from tests.support.eventually import eventually
from tests.support.pair import Pair, Side

LIMIT = 40.0


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory, clean_environment: dict[str, str]) -> Iterator[Pair]:
    """a is on exFAT, b on an ordinary file system; both daemons run."""
    top = tmp_path_factory.mktemp("crippled")
    with exfat(top) as point:
        pair = Pair(top, clean_environment)
        pair.a = Side(point / "a", clean_environment)
        for side in pair:
            side.repo.mkdir()
            side.git("init", "-q")
            Annexd(clean_environment)(side.repo, "init", side.repo.name)
        pair.a.git("remote", "add", "b", str(pair.b.repo))
        pair.b.git("remote", "add", "a", str(pair.a.repo))
        try:
            pair.start()
            yield pair
        finally:
            for side in pair:
                print(f"--- the daemon of {side.repo.name} wrote:\n{side.said()[-8000:]}")
                side.close()


def arrives(side: Side, path: str, data: bytes) -> None:
    eventually(lambda: side.has(path, data), LIMIT, f"{path} at {side.repo.name}")


def is_gone(side: Side, path: str) -> None:
    eventually(lambda: not os.path.lexists(side.path(path)), LIMIT, f"{path} to go at {side.repo.name}")


def in_step(pair: Pair) -> bool:
    ours = pair.a.git("rev-parse", "HEAD^")
    assert ours == pair.b.git("rev-parse", "HEAD"), "histories differ"
    for side in pair:
        left = side.git("status", "--porcelain")
        assert not left, f"git status in {side.repo.name}: {left!r}"
    return True


def test_it_is_initialised_as_git_annex_does_it(drive: Pair, annex_oracle: object, oracle: Oracle) -> None:
    theirs = drive.a.repo.with_name("theirs")
    theirs.mkdir()
    oracle.git(theirs, "init", "-q")
    oracle.annex(theirs, "init", "theirs")
    for name in ("annex.crippledfilesystem", "annex.sshcaching", "core.symlinks", "core.filemode", "annex.version"):
        assert oracle.git(drive.a.repo, "config", name) == oracle.git(theirs, "config", name), name
    head = oracle.git(theirs, "symbolic-ref", "HEAD")
    assert head.startswith("refs/heads/adjusted/")
    assert oracle.git(drive.a.repo, "symbolic-ref", "HEAD") == head


def test_files_are_made_edited_renamed_and_removed_both_ways(drive: Pair) -> None:
    for here, there in ((drive.a, drive.b), (drive.b, drive.a)):
        name = f"from {here.repo.name}"
        here.write(f"d/{name}", b"one\n")
        arrives(there, f"d/{name}", b"one\n")
        here.write(f"d/{name}", b"two\n")
        arrives(there, f"d/{name}", b"two\n")
        here.path(f"d/{name}").rename(here.path(name))
        arrives(there, name, b"two\n")
        is_gone(there, f"d/{name}")
        here.path(name).unlink()
        is_gone(there, name)
    eventually(lambda: in_step(drive), LIMIT, "both sides in step")


def test_modes_and_symlinks_survive_a_visit(drive: Pair) -> None:
    a, b = drive
    b.write("link is to", b"plain\n")
    b.path("link").symlink_to("link is to")
    b.write(".program", b"#!/bin/sh\n").chmod(0o755)
    arrives(a, ".program", b"#!/bin/sh\n")
    eventually(lambda: a.has("link", b"link is to"), LIMIT, "the symlink as a file that says where it leads")
    eventually(lambda: in_step(drive), LIMIT, "both sides in step")
    a.write(".program", b"#!/bin/sh\ntrue\n")
    arrives(b, ".program", b"#!/bin/sh\ntrue\n")
    eventually(lambda: in_step(drive), LIMIT, "both sides in step")
    modes = b.committed()
    assert (modes[b".program"], modes[b"link"]) == ("100755", "120000")
    assert b.path("link").is_symlink()
    a.write("new there", b"new\n")
    arrives(b, "new there", b"new\n")
    assert not b.path("new there").is_symlink() or b.committed()[b"new there"] == "120000"


def test_the_daemon_is_talked_to_though_there_are_no_sockets(drive: Pair, clean_environment: dict[str, str]) -> None:
    said = drive.a.status()
    assert not [alert for alert in said.get("alerts") or () if "control" in alert["name"]]
    with AnnexState.open(os.fsencode(drive.a.repo)) as annex:
        assert send(annex.layout, {"do": "status"}, Deadline(10.0))["ok"]


def test_names_that_differ_in_case_only_both_keep_their_content(drive: Pair) -> None:
    a, b = drive
    b.write("Case", b"upper\n")
    arrives(a, "Case", b"upper\n")
    b.write("case", b"lower, and longer\n")
    a.wait_for_alert("collided", "case")
    a.write("afterwards", b"afterwards\n")
    arrives(b, "afterwards", b"afterwards\n")
    assert b.has("Case", b"upper\n") and b.has("case", b"lower, and longer\n")
    a.write("Case", b"edited\n")
    arrives(b, "Case", b"edited\n")
    eventually(lambda: in_step(drive), LIMIT, "both sides in step")
    assert b.has("case", b"lower, and longer\n")
