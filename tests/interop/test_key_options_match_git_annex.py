"""--all, --key, --branch, --unused, --failed and --incomplete in twin repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.test_commands_match_git_annex import ONE, Side, Twins, twins
from tests.interop.test_moving_matches_git_annex import three

__all__ = ["three", "twins"]


def key_of(side: Side, name: str) -> str:
    return side.run("one", ["git-annex", "lookupkey", name]).out.strip()


def note_failure(twins: Twins, direction: str, name: str) -> None:
    """As a transfer with `one` leaves it that failed."""

    def act(side: Side) -> None:
        place = side.top / f"here/.git/annex/transfer/failed/{direction}/{ONE}"
        place.mkdir(parents=True, exist_ok=True)
        (place / key_of(side, name)).write_text(f"1700000000.5s\n{name}\n")

    twins.both(act)


def failures(side: Side) -> list[str]:
    return sorted(p.name for p in (side.top / "here/.git/annex/transfer/failed").rglob("*") if p.is_file())


def spoil(twins: Twins, name: str) -> None:
    """The content of a file at `one` is not what it should be."""

    def act(side: Side) -> None:
        path = (side.top / "one" / name).resolve()
        path.chmod(0o644)
        path.write_bytes(b"?" * path.stat().st_size)

    twins.both(act)


def test_what_failed_is_noted_and_tried_again_on_demand(three: Twins) -> None:
    spoil(three, "f1")
    three.do_loosely("here", "get", "f1", "f2")
    ours, theirs = (failures(side) for side in three.sides)
    assert ours == theirs == [key_of(three.sides[0], "f1")]
    three.do_loosely("here", "get", "--failed")
    three.do("here", "copy", "--failed", "--to", "one")
    assert [failures(side) for side in three.sides] == [ours, ours]
    three.both(lambda side: mend(side, "f1"))
    three.do("here", "get", "f1")
    assert [failures(side) for side in three.sides] == [[], []]
    three.do("here", "get", "--failed")


def mend(side: Side, name: str) -> None:
    (side.top / "one" / name).resolve().write_text(f"content of {name}\n" * 300)


def test_failed_transfers_are_those_in_the_direction_of_the_command(three: Twins) -> None:
    three.do("here", "get", "f3")
    note_failure(three, "download", "f1")
    note_failure(three, "upload", "f3")
    three.do("here", "whereis", "--failed")
    three.do("here", "whereis", "--failed", "--json", says='"input":[],"key"')
    three.do("here", "fsck", "--failed", says="fsck f3")
    three.do("here", "copy", "--failed", "--to", "two", says="copy f3")
    three.do("here", "get", "--failed", "--json", says='"success":true')
    assert [failures(side) for side in three.sides] == [[key_of(side, "f3")] for side in three.sides]
    three.do("here", "drop", "--failed", says="drop f3")


@pytest.mark.slow
def test_failed_downloads_come_by_every_command(three: Twins) -> None:
    for command in (["mirror", "--from", "one"], ["copy", "--from", "one"], ["move", "--to", "here"]):
        note_failure(three, "download", "f1")
        three.do("here", *command, "--failed", says="f1")
        three.do_loosely("here", "drop", "f1", "--force")


@pytest.mark.slow
def test_what_was_found_unused_can_be_worked_on(three: Twins) -> None:
    three.do("here", "get", "f1", "f2")
    three.git("here", "checkout", "-q", "--orphan", "fresh")
    three.git("here", "rm", "-qf", "f1", "f2")
    three.git("here", "commit", "-qm", "fewer")
    three.both(drop_other_branches)
    theirs = three.sides[1]
    theirs.run("here", ["git-annex", "unused"])
    unused = (theirs.top / "here/.git/annex/unused").read_text()
    assert unused.count("\n") == 2
    (three.sides[0].top / "here/.git/annex/unused").write_text(unused)
    three.do("here", "whereis", "--unused")
    three.do("here", "copy", "--unused", "--to", "two", says="(to two...)")
    three.do("here", "drop", "--unused", says="ok")
    three.do("here", "get", "--unused", "--json")


def drop_other_branches(side: Side) -> None:
    for ref in side.git("here", "for-each-ref", "--format=%(refname)").split():
        if not ref.endswith(("/fresh", "/git-annex")):
            side.git("here", "update-ref", "--no-deref", "-d", ref)


@pytest.mark.slow
def test_broken_off_downloads_can_be_gone_on_with(three: Twins) -> None:
    three.do("here", "get", "f2")

    def break_off(side: Side) -> None:
        for name in ("f1", "f2", "f3"):
            place = side.top / "here/.git/annex/tmp"
            place.mkdir(exist_ok=True)
            (place / key_of(side, name)).write_text(f"content of {name}\n")

    three.both(break_off)
    three.do_loosely("here", "get", "--incomplete")
    three.both(lambda side: nothing_in(side.top / "here/.git/annex/tmp"))
    three.do("here", "get", "--incomplete")
    three.do("here", "find", "--in", "here")


def nothing_in(place: Path) -> None:
    assert not list(place.iterdir())


def test_options_that_do_not_go_together_are_refused(twins: Twins) -> None:
    twins.write("one/f1", "content of f1\n")
    twins.do("one", "add")
    for words in (
        ["get", "--all", "--auto"], ["get", "--branch", "HEAD", "--auto"], ["get", "--all", "--batch"],
        ["whereis", "--batch", "f1"], ["get", "--incomplete", "--include=f*"],
        ["get", "--key", "SHA256-s1--x", "--include=f*"],
    ):  # fmt: skip
        twins.do("one", *words, says="annot ")
    twins.do("one", "get", "--failed", "f1", says="Can only specify one of")
    twins.do("one", "whereis", "--unused", "f1", says="Can only specify one of")
    twins.do_loosely("one", "get", "--failed", "--all")
    twins.do_loosely("one", "mirror", "--incomplete", "--to", "two")


def test_a_bare_repository_has_no_names(twins: Twins) -> None:
    twins.git(".", "init", "-q", "--bare", "bare")
    twins.do("bare", "init", "bare")
    twins.do("bare", "get", "--include=*", says="bare repository")
    twins.do("bare", "get", "--auto", says="bare repository")
