"""Repositories that are tuned in different ways meet: nothing of one gets into the other, and others go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import annexd as programs
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, make_pair
from tests.support.repositories import git

TUNED = ("-c", "annex.tune.objecthash1=true")


def make_stranger(pair: Pair, *init: str) -> Path:
    """An annex of its own, with a file, that `a` has as a remote."""
    stranger = pair.a.repo.parent / "stranger"
    git(pair.a.repo.parent, "init", "-q", str(stranger))
    program = programs.Annexd(pair.a.env)
    program(stranger, "init", "the stranger", *init)
    (stranger / "strange").write_text("strange\n")
    program(stranger, "add", "strange")
    git(stranger, "commit", "-q", "-m", "strange")
    pair.a.git("remote", "add", "stranger", str(stranger))
    return stranger


def refs_of(repo: Path) -> bytes:
    return git(repo, "for-each-ref", "--format=%(refname) %(objectname)")


@pytest.mark.parametrize("is_elsewhere", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_commands_refuse_it_before_anything_is_exchanged_and_name_both_sides(pair: Pair, is_elsewhere: bool) -> None:
    stranger = make_stranger(pair, *TUNED)
    if is_elsewhere:        # so that it is no path for us, but git finds it
        pair.a.git("config", "remote.stranger.url", "elsewhere:stranger")
        pair.a.git("config", f"url.{stranger.parent}/.insteadOf", "elsewhere:")
    program = programs.Annexd(pair.a.env)
    pair.a.write("mine", b"mine\n")
    program(pair.a.repo, "add", "mine")
    before = refs_of(stranger)
    done = program(pair.a.repo, "sync", "stranger", status=1)
    said = done.out + done.err
    assert "[the stranger] is tuned (OneLevelObjectHash)" in said and "[a], is not tuned" in said
    assert "remove the remote" in said
    assert refs_of(stranger) == before
    assert not pair.a.path("strange").exists()
    assert b"refs/remotes/stranger/master" not in refs_of(pair.a.repo)
    assert b"refs/remotes/stranger/main" not in refs_of(pair.a.repo)
    if not is_elsewhere:
        done = program(pair.a.repo, "copy", "--to", "stranger", status=1)
        assert "is tuned (OneLevelObjectHash)" in done.out + done.err
        assert not (stranger / ".git/annex/objects").exists() or pair.a.path("mine").is_symlink()
    pair.a.git("fetch", "-q", "stranger")       # by hand: what is there by now is not merged either
    branch = pair.a.git("symbolic-ref", "--short", "HEAD").strip().decode()
    done = program(pair.a.repo, "merge", f"stranger/{branch}", status=1)
    assert "is not merged" in done.out + done.err
    assert not pair.a.path("strange").exists()


def test_a_daemon_tells_of_it_and_goes_on_with_the_others(pair: Pair) -> None:
    stranger = make_stranger(pair, *TUNED)
    before = refs_of(stranger)
    pair.start()
    pair.assert_syncs("one")
    alert = pair.a.wait_for_alert("stranger", "OneLevelObjectHash", "not tuned")
    assert "remove the remote" in alert
    branch = pair.a.git("symbolic-ref", "HEAD").strip()
    synced = branch.replace(b"heads/", b"heads/synced/")
    for ref in (b"git-annex", branch.removeprefix(b"refs/heads/")):       # as if it had been pushed here
        pair.a.git("fetch", "-q", str(stranger), b"+refs/heads/%b:refs/heads/synced/%b" % (ref, ref))
    pair.a.wait_for_alert(synced.decode(), "is not merged")
    pair.assert_syncs("two")
    assert not pair.a.path("strange").exists() and not pair.b.path("strange").exists()
    assert refs_of(stranger) == before
    pair.a.git("remote", "remove", "stranger")
    pair.assert_syncs("three")


def test_tuned_daemons_sync_and_find_what_is_missing(tmp_path: Path, clean_environment: dict[str, str]) -> None:
    tunings = {f"annex.tune.{name}": "true" for name in ("objecthash1", "objecthashlower", "branchhash1")}
    home = {
        "GIT_CONFIG_COUNT": str(len(tunings)),
        **{f"GIT_CONFIG_KEY_{at}": name for at, name in enumerate(tunings)},
        **{f"GIT_CONFIG_VALUE_{at}": value for at, value in enumerate(tunings.values())},
    }
    with make_pair(tmp_path, {**clean_environment, **home}) as pair:
        for side in pair:
            for name in home:
                side.env.pop(name)
        pair.a.write("before", b"before\n")
        pair.start()
        eventually(lambda: pair.b.has("before", b"before\n"), SYNC_LIMIT, "what was there at the start")
        pair.assert_syncs("one")
        pair.settle()
        pair.b.stop()
        pair.a.write("meanwhile", b"meanwhile\n")
        eventually(lambda: b"meanwhile" in pair.a.committed(), SYNC_LIMIT)
        pair.b.start()
        eventually(lambda: pair.b.has("meanwhile", b"meanwhile\n"), SYNC_LIMIT, "what came while b was away")
        objects = [path for path in (pair.b.repo / ".git/annex/objects").glob("*/*/*") if path.is_file()]
        assert len(objects) == 3 and all(len(path.parts[-3]) == 3 for path in objects)
