"""History goes to a remote, straight or by git push, and never over what is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.git.objects import Oid
from annexd.sync import direct
from annexd.sync.fetch import fetch_remote, may_fetch
from annexd.sync.push import PushKind, RemotePusher, may_push, push_remote
from annexd.threads.stop_signal import StopSignal
from tests.support.repositories import git
from tests.unit.sync.conftest import Two

STOP = StopSignal()


def at(annex: AnnexState, ref: bytes) -> Oid | None:
    return annex.refs.read(ref)


def push(two: Two) -> PushKind:
    return push_remote(two.a, two.spec_of_b(), two.branch(), STOP).kind


def test_the_branch_goes_to_synced_where_it_is_checked_out(two: Two) -> None:
    commit = two.commit(two.a, f=b"one")
    assert push(two) is PushKind.PUSHED
    assert at(two.b, b"refs/heads/synced/" + two.branch()) == commit
    assert at(two.b, b"refs/heads/" + two.branch()) is None


def test_a_branch_that_somebody_may_be_checking_out_is_not_moved(two: Two) -> None:
    first = two.commit(two.a, f=b"one")
    push(two)
    branch = two.branch()
    git(two.path(two.b, "."), "update-ref", f"refs/heads/{branch.decode()}", first.hex())
    git(two.path(two.b, "."), "checkout", "-q", "--detach", branch.decode())
    second = two.commit(two.a, f=b"two")
    assert push(two) is PushKind.PUSHED
    assert at(two.b, b"refs/heads/" + branch) == first
    assert at(two.b, b"refs/heads/synced/" + branch) == second


def test_the_branch_goes_to_itself_in_a_bare_repository(bare: Two) -> None:
    commit = bare.commit(bare.a, f=b"one")
    assert push(bare) is PushKind.PUSHED
    assert at(bare.b, b"refs/heads/" + bare.branch()) == commit


def test_the_git_annex_branch_goes_to_synced_when_it_cannot_be_moved_forward(two: Two) -> None:
    two.commit(two.a, f=b"one")
    assert push(two) is PushKind.PUSHED
    assert at(two.b, b"refs/heads/synced/git-annex") == two.a.branch.tip()
    assert two.b.branch.tip() != two.a.branch.tip()     # b has something of its own
    two.b.branch.merge_siblings()
    tip = two.b.branch.tip()
    assert fetch_remote(two.a, two.spec_of_b(), STOP).is_done
    two.a.branch.merge_siblings()
    assert two.a.branch.tip() == tip


def test_a_second_push_has_nothing_to_do(two: Two) -> None:
    two.commit(two.a, f=b"one")
    pusher = RemotePusher(two.a)
    spec = two.spec_of_b()
    assert pusher.push(spec, two.branch(), STOP).kind is PushKind.PUSHED
    two.b.branch.merge_siblings()
    assert pusher.push(spec, two.branch(), STOP).kind is PushKind.UP_TO_DATE
    pusher.close()


def test_remote_tracking_refs_follow(two: Two) -> None:
    commit = two.commit(two.a, f=b"one")
    push(two)
    assert at(two.a, b"refs/remotes/b/synced/" + two.branch()) == commit


def test_a_push_over_foreign_history_is_rejected(two: Two) -> None:
    two.commit(two.a, f=b"one")
    foreign = two.commit(two.b, g=b"theirs")
    synced = "refs/heads/synced/" + two.branch().decode()
    git(two.path(two.b, "."), "update-ref", synced, foreign.hex())
    assert push(two) is PushKind.REJECTED
    assert at(two.b, synced.encode()) == foreign


def test_a_remote_that_is_ahead_is_left_alone(two: Two) -> None:
    two.commit(two.a, f=b"one")
    push(two)
    synced = b"refs/heads/synced/" + two.branch()
    top = two.path(two.b, ".")
    git(top, "checkout", "-q", "-b", two.branch().decode(), synced.decode())
    two.b.reset()
    later = two.commit(two.b, g=b"later")
    assert fetch_remote(two.a, two.spec_of_b(), STOP).is_done
    before = at(two.b, synced)
    push(two)
    assert at(two.b, synced) == before
    assert at(two.b, b"refs/heads/" + two.branch()) == later


def test_a_hook_of_a_person_there_asks_for_git_push(two: Two) -> None:
    two.commit(two.a, f=b"one")
    hook = two.path(two.b, ".git/hooks/update")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho $1 >>hook-ran\n")
    hook.chmod(0o755)
    assert direct.direct_target(two.a.repo, two.spec_of_b()) is None
    assert push(two) is PushKind.PUSHED
    assert b"refs/heads/synced/" in two.path(two.b, ".git/hook-ran").read_bytes()


def test_a_hook_that_refuses_makes_the_push_fail(two: Two) -> None:
    two.commit(two.a, f=b"one")
    hook = two.path(two.b, ".git/hooks/pre-receive")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    outcome = push_remote(two.a, two.spec_of_b(), two.branch(), STOP)
    assert outcome.kind is PushKind.FAILED and outcome.reason


def test_update_instead_is_left_to_git(two: Two) -> None:
    two.commit(two.a, f=b"one")
    git(two.path(two.b, "."), "config", "receive.denyCurrentBranch", "updateInstead")
    assert push(two) is PushKind.PUSHED
    assert two.path(two.b, "f").read_bytes() == b"one"


@pytest.mark.parametrize("setting", ["pushurl", "mirror", "receivepack"])
def test_settings_of_a_remote_that_only_git_knows_ask_for_git_push(two: Two, setting: str) -> None:
    assert direct.direct_target(two.a.repo, two.spec_of_b()) is not None
    git(two.path(two.a, "."), "config", f"remote.b.{setting}", "true")
    assert direct.direct_target(two.a.repo, two.spec_of_b()) is None


def test_a_missing_remote_fails_with_a_reason(two: Two) -> None:
    two.commit(two.a, f=b"one")
    spec = two.spec_of_b()
    os.rename(spec.path or b"", (spec.path or b"") + b".away")
    outcome = push_remote(two.a, spec, two.branch(), STOP)
    assert outcome.kind is PushKind.FAILED and outcome.reason


@pytest.mark.parametrize(("setting", "value", "pushes", "fetches"), [
    ("annex-sync", "false", False, False),
    ("annex-push", "false", False, True),
    ("annex-pull", "false", True, False),
    ("annex-readonly", "true", False, True),
    ("annex-ignore", "true", True, True),
])
def test_settings_decide_which_way_history_goes(
    two: Two, setting: str, value: str, pushes: bool, fetches: bool
) -> None:
    git(two.path(two.a, "."), "config", f"remote.b.{setting}", value)
    spec = two.spec_of_b()
    assert (may_push(spec), may_fetch(spec)) == (pushes, fetches)


def test_fetching_what_is_known_starts_no_process(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    two.commit(two.b, f=b"theirs")
    spec = two.spec_of_b()
    assert fetch_remote(two.a, spec, STOP).is_done
    monkeypatch.setenv("PATH", str(Path("/nonexistent")))
    assert fetch_remote(two.a, spec, STOP).is_done
