"""The brake holds what would delete or rewrite much in a short time, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from annexd.annex.brake_settings import BrakeSettings
from annexd.annex.commit import REMOVE, IndexUpdate, new_commit, stage_and_commit
from annexd.annex.state import AnnexState
from annexd.errors import ConfigError
from annexd.formats.pointer import link_target, pointer_for
from annexd.git.config import GitConfig
from annexd.git.objects import Oid
from annexd.git.tree import Blob, Trees
from annexd.sync import brake as braking
from annexd.sync.brake import Brake, accept, lost_files
from annexd.sync.brake_state import BrakeFile, Hold, holds
from annexd.sync.losses import find_losses
from annexd.sync.push import PushKind, push_remote
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal
from tests.support.annexes import key_of, make_annex
from tests.support.repositories import git, make_removable
from tests.unit.sync.conftest import Two

FILE, LINK = 0o100644, 0o120000
MANY = 40
SETTINGS = BrakeSettings(percent=20.0, window=600.0, files=3)

Content = bytes | None


class Clock:
    """Stands for the module's time."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(braking, "time", made)
    return made


class Here:
    """An annex whose files are changed by commits, and what the brake says of them."""

    def __init__(self, annex: AnnexState) -> None:
        self.annex = annex
        self.brake = Brake(lambda _: SETTINGS)

    def commit(self, files: Mapping[str, Content]) -> Oid:
        updates = [
            IndexUpdate(name.encode(), REMOVE if data is None else FILE, data) for name, data in files.items()
        ]  # fmt: skip
        result = stage_and_commit(self.annex, updates, b"by hand", Deadline(5))
        assert result is not None
        return result.new

    def judge(self, brake: Brake | None = None) -> Hold | None:
        branch = (self.annex.refs.head().ref or b"").removeprefix(b"refs/heads/")
        return (brake or self.brake).judge(self.annex, branch, self.annex.refs.head().oid)

    def fill(self) -> None:
        self.commit({f"f{number}": b"content %d" % number for number in range(MANY)})
        assert self.judge() is None

    def hidden(self) -> str:
        return self.annex.repo.complete(b"config", b"--get-all", b"uploadpack.hideRefs").stdout.decode()


@pytest.fixture
def here(tmp_path: Path, clock: Clock) -> Iterator[Here]:
    with make_annex(tmp_path / "a") as annex:
        made = Here(annex)
        made.fill()
        yield made
    make_removable(tmp_path)


def names(*numbers: int) -> dict[str, Content]:
    return {f"f{number}": None for number in numbers}


def test_many_deletions_are_held(here: Here) -> None:
    here.commit(names(*range(9)))
    hold = here.judge()
    assert hold is not None
    assert (hold.deleted, hold.rewritten, hold.files) == (9, 0, MANY)
    assert "refs/heads/" in here.hidden()


def test_few_deletions_go_out(here: Here) -> None:
    here.commit(names(*range(8)))
    assert here.judge() is None
    assert here.hidden() == ""


def test_many_rewrites_are_held(here: Here) -> None:
    here.commit({f"f{number}": b"encrypted %d" % number for number in range(9)})
    hold = here.judge()
    assert hold is not None
    assert (hold.deleted, hold.rewritten) == (0, 9)


def test_a_file_that_is_encrypted_under_another_name_is_a_deletion(here: Here) -> None:
    here.commit({**names(*range(9)), **{f"f{number}.locked": b"encrypted %d" % number for number in range(9)}})
    hold = here.judge()
    assert hold is not None
    assert hold.deleted == 9


def test_renames_never_trip_it(here: Here) -> None:
    moved: dict[str, Content] = {f"d/e/g{number}": b"content %d" % number for number in range(MANY)}
    here.commit({**names(*range(MANY)), **moved})
    assert here.judge() is None


def test_a_rename_in_two_commits_is_none_either(here: Here) -> None:
    here.commit({f"d/g{number}": b"content %d" % number for number in range(MANY)})
    assert here.judge() is None
    here.commit(names(*range(MANY)))
    assert here.judge() is None


def test_only_one_copy_can_be_where_the_other_went(here: Here) -> None:
    here.commit({f"same{number}": b"the same" for number in range(20)})
    assert here.judge() is None
    here.commit({**{f"same{number}": None for number in range(20)}, "moved": b"the same"})
    hold = here.judge()
    assert hold is not None
    assert hold.deleted == 19


def test_new_files_never_trip_it(here: Here) -> None:
    here.commit({f"new{number}": b"new %d" % number for number in range(200)})
    assert here.judge() is None


def test_small_commits_add_up_within_the_window(here: Here, clock: Clock) -> None:
    for number in range(8):
        clock.now += 60
        here.commit(names(number))
        assert here.judge() is None
    here.commit(names(8))
    assert here.judge() is not None


def test_files_that_came_just_now_are_not_free_to_be_deleted(here: Here, clock: Clock) -> None:
    """Neither at once nor little by little, as a large deletion is seen in pieces."""
    clock.now += 2 * SETTINGS.window
    here.commit({f"new{number}": b"new %d" % number for number in range(100)})
    assert here.judge() is None
    for start in (0, 14):
        clock.now += 1
        here.commit({f"new{number}": None for number in range(start, start + 14)})
        assert here.judge() is None
    clock.now += 1
    here.commit({"new28": None})
    hold = here.judge()
    assert hold is not None
    assert (hold.deleted, hold.files) == (29, 140)


def test_slow_deletions_do_not_add_up(here: Here, clock: Clock) -> None:
    for number in range(20):
        clock.now += 120
        here.commit(names(number))
        assert here.judge() is None


def test_what_was_let_through_long_ago_counts_no_more(here: Here, clock: Clock) -> None:
    clock.now += 1
    here.commit(names(*range(8)))
    assert here.judge() is None
    clock.now += 3 * SETTINGS.window
    here.commit(names(*range(8, 14)))
    assert here.judge() is None
    clock.now += 1
    here.commit(names(14))
    assert here.judge() is not None     # seven of the 32 that were there at the window's start


def test_a_hold_outlasts_restarts_and_the_window(here: Here, clock: Clock) -> None:
    here.commit(names(*range(9)))
    assert here.judge() is not None
    clock.now += 100 * SETTINGS.window
    assert here.judge(Brake(lambda _: SETTINGS)) is not None
    here.commit({"new": b"new"})
    hold = here.judge(Brake(lambda _: SETTINGS))
    assert hold is not None
    assert holds(here.annex.layout) == (hold,)


def test_accept_lets_it_go_and_begins_anew(here: Here) -> None:
    here.commit(names(*range(9)))
    here.judge()
    assert [hold.deleted for hold in accept(here.annex)] == [9]
    assert here.judge() is None
    assert here.hidden() == ""
    assert accept(here.annex) == []
    here.commit(names(9, 10, 11, 12, 13))
    assert here.judge() is None
    here.commit(names(14, 15))
    assert here.judge() is not None


def test_a_hold_ends_by_itself_once_the_files_are_back(here: Here) -> None:
    here.commit(names(*range(9)))
    hold = here.judge()
    assert hold is not None
    head = here.annex.refs.head().oid
    assert head is not None
    assert set(lost_files(here.annex, hold, head).deleted) == {f"f{number}".encode() for number in range(9)}
    here.commit({f"f{number}": b"content %d" % number for number in range(9)})
    assert here.judge() is None
    assert here.hidden() == ""


def test_switching_it_off_lets_everything_go(here: Here) -> None:
    here.commit(names(*range(MANY)))
    assert here.judge() is not None
    assert here.judge(Brake(lambda _: None)) is None
    assert here.hidden() == ""
    assert holds(here.annex.layout) == ()


def test_a_damaged_note_counts_as_none(here: Here) -> None:
    with open(BrakeFile(here.annex.layout).path, "wb") as file:
        file.write(b'{"master": 3')
    assert here.judge() is None
    here.commit(names(*range(9)))
    assert here.judge() is not None


def test_who_asks_is_told_of_all_that_is_held(here: Here) -> None:
    told: list[Mapping[bytes, Hold]] = []
    brake = Brake(lambda _: SETTINGS, told.append)
    here.commit(names(*range(9)))
    here.judge(brake)
    here.judge(brake)
    assert [len(held) for held in told] == [1]
    accept(here.annex)
    here.judge(brake)
    assert [len(held) for held in told] == [1, 0]


def merged(here: Here, theirs: Oid) -> None:
    """A merge of ours and theirs, in which theirs is right about what it removed."""
    annex = here.annex
    head = annex.refs.head()
    assert head.ref is not None and head.oid is not None
    tree = annex.repo.run(b"merge-tree", b"--write-tree", head.oid.hex().encode(), theirs.hex().encode()).split()[0]
    commit = new_commit(annex, Oid(bytes.fromhex(tree.decode())), [head.oid, theirs], b"merge")
    annex.objects.flush()
    git(Path(os.fsdecode(annex.repo.top)), "reset", "-q", "--hard", commit.hex())


def their_commit(here: Here, gone: range) -> Oid:
    """History that a remote has: it deleted files."""
    annex = here.annex
    head = annex.refs.head().oid
    assert head is not None
    trees = Trees(annex.objects)
    changes: dict[bytes, Blob | None] = {f"f{number}".encode(): None for number in gone}
    root = annex.repo.run(b"rev-parse", head.hex().encode() + b"^{tree}").strip().decode()
    tree = trees.update(Oid(bytes.fromhex(root)), changes)
    assert tree is not None
    theirs = new_commit(annex, tree, [head], b"theirs")
    annex.objects.flush()
    annex.repo.run(b"update-ref", b"refs/remotes/b/master", theirs.hex().encode())
    return theirs


def test_what_others_deleted_is_their_affair(here: Here) -> None:
    theirs = their_commit(here, range(20))
    here.commit(names(30))
    merged(here, theirs)
    assert here.judge() is None
    here.commit(names(31, 32))
    assert here.judge() is None
    here.commit(names(33, 34, 35, 36, 37, 38, 39))
    hold = here.judge()
    assert hold is not None
    assert hold.deleted == 10


def test_what_a_remote_has_already_is_not_held(here: Here) -> None:
    head = here.commit(names(*range(20)))
    here.annex.repo.run(b"update-ref", b"refs/remotes/b/master", head.hex().encode())
    assert here.judge() is None


def test_commits_that_nobody_has_are_judged_when_the_brake_is_switched_on(tmp_path: Path, clock: Clock) -> None:
    with make_annex(tmp_path / "a") as annex:
        here = Here(annex)
        first = here.commit({f"f{number}": b"content %d" % number for number in range(MANY)})
        annex.repo.run(b"update-ref", b"refs/remotes/b/master", first.hex().encode())
        here.commit(names(*range(20)))
        assert here.judge() is not None
    make_removable(tmp_path)


def test_a_push_that_is_held_sends_nothing(two: Two, clock: Clock) -> None:
    git(two.path(two.a, "."), "config", "annexd.brake", "20%")
    git(two.path(two.a, "."), "config", "annexd.brakefiles", "3")
    two.a.reload_config()
    here = Here(two.a)
    first = here.commit({f"f{number}": b"content %d" % number for number in range(MANY)})
    assert push_remote(two.a, two.spec_of_b(), two.branch(), StopSignal()).kind is PushKind.PUSHED
    tip = two.b.refs.list()
    here.commit(names(*range(20)))
    for branch in (two.branch(), None):
        outcome = push_remote(two.a, two.spec_of_b(), branch, StopSignal())
        assert outcome.kind is PushKind.HELD
        assert "annexd accept" in outcome.reason and "annexd revert" in outcome.reason
    assert two.b.refs.list() == tip
    git(two.path(two.b, "."), "fetch", "-q", "a")       # nor does who fetches get it
    assert two.b.refs.read(b"refs/remotes/a/" + two.branch()) in (None, first)
    accept(two.a)
    assert push_remote(two.a, two.spec_of_b(), two.branch(), StopSignal()).kind is PushKind.PUSHED


@pytest.mark.parametrize("how", ["locked, moved", "unlocked", "other extension", "executable"])
def test_another_blob_for_the_same_content_is_no_loss(tmp_path: Path, how: str) -> None:
    with make_annex(tmp_path / "a") as annex:
        trees = Trees(annex.objects)
        key, renamed = key_of(b"x", b".jpeg"), key_of(b"x", b".jpg")

        def link(path: bytes) -> Blob:
            target = link_target(path, annex.layout.link_object_path(key))
            return LINK, annex.objects.add(b"blob", target)

        pointer = annex.objects.add(b"blob", pointer_for(key))
        after: dict[str, dict[bytes, Blob]] = {
            "locked, moved": {b"d/e/y.jpeg": link(b"d/e/y.jpeg")},
            "unlocked": {b"x.jpeg": (FILE, pointer)},
            "other extension": {b"x.jpg": (FILE, annex.objects.add(b"blob", pointer_for(renamed)))},
            "executable": {b"x.jpeg": (0o100755, pointer)},
        }
        old = trees.update(None, {b"x.jpeg": link(b"x.jpeg")})
        new = trees.update(None, dict(after[how]))
        annex.objects.flush()
        assert len(find_losses(annex, old, new)) == 0
        assert len(find_losses(annex, old, None)) == 1
    make_removable(tmp_path)


@pytest.mark.parametrize(
    ("text", "percent"), [(b"20%", 20.0), (b"7.5", 7.5), (b"off", None), (b"false", None), (b"0", None)]
)
def test_the_setting_is_a_share(text: bytes, percent: float | None) -> None:
    found = BrakeSettings.load(GitConfig.parse(b"annexd.brake\n" + text + b"\0annexd.brakewindow\n10m\0"))
    assert found == (None if percent is None else BrakeSettings(percent, 600.0, 10))


@pytest.mark.parametrize("listing", [
    b"annexd.brake\nmuch\0", b"annexd.brake\n120%\0", b"annexd.brake\n-1\0", b"annexd.brake\n9\0annexd.brakefiles\n0\0",
    b"annexd.brake\n9\0annexd.brakewindow\nsoon\0",
])  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused(listing: bytes) -> None:
    with pytest.raises(ConfigError):
        BrakeSettings.load(GitConfig.parse(listing))


