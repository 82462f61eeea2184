"""copy, move, mirror, drop and their limits in twin repositories, worked by annexd and by git-annex."""

from __future__ import annotations

import pytest

from tests.interop.test_commands_match_git_annex import THREE, TWO, Twins, twins

__all__ = ["three", "twins"]

FILES = ("f1", "f2", "f3", "f4")


@pytest.fixture
def three(twins: Twins) -> Twins:
    """`one` has four files; `here` and `two` are its clones, and `here` has both as remotes."""
    for name in FILES:
        twins.write(f"one/{name}", f"content of {name}\n" * 300)
    twins.do("one", "add")
    twins.git("one", "commit", "-qm", "files")
    for name, uuid in (("two", TWO), ("here", THREE)):
        twins.git(".", "clone", "-q", "one", name)
        twins.do(name, "reinit", uuid)
        twins.do(name, "describe", "here", f"the {name}")
    twins.git("here", "remote", "rename", "origin", "one")
    twins.git("here", "remote", "add", "two", "../two")
    twins.do_loosely("two", "sync", "--no-content")
    twins.do_loosely("here", "sync", "--no-content")
    return twins


def test_content_goes_from_one_remote_to_another_and_leaves_nothing_here(three: Twins) -> None:
    three.do("here", "copy", "--from", "one", "--to", "two", "f1", "f2", says="(from one...) (to two...) ok")
    three.do("here", "find", "--in", "here")
    three.do("here", "whereis")
    three.do("here", "copy", "--from", "one", "--to", "two", "f1", "--json")
    three.do("here", "copy", "--from", "one", "--to", "one", "f3")
    three.do("here", "move", "--from", "one", "--to", "two", "f1", "f3", "--json", "--json-error-messages")
    three.do("here", "whereis")
    three.do("here", "fsck", "--fast", "--all")


def test_what_is_here_already_is_sent_from_here(three: Twins) -> None:
    three.do("here", "get", "f1")
    three.do("here", "copy", "--from", "one", "--to", "two", "f1", says="(to two...)")
    three.do("here", "move", "--from", "one", "--to", "two", "f1")
    three.do("here", "whereis", "f1")


def test_a_move_that_would_leave_too_few_copies_says_what_it_left(three: Twins) -> None:
    three.do("here", "move", "--from", "one", "--to", "two", "f1", "-N", "2", says="Content not dropped from one")
    three.do("here", "whereis", "f1")
    three.do("here", "get", "f2")
    three.do("here", "copy", "--to", "two", "f2")
    three.do("here", "move", "--to", "two", "f2", "-N4", says="Content not dropped from here")
    three.do("here", "move", "--from", "two", "f2", "-N4", "--json", "--json-error-messages")


def test_all_other_places_are_emptied_into_one(three: Twins) -> None:
    three.do("here", "get", "f1")
    three.do("here", "copy", "--from-anywhere", "--to", "two", "f1", "f2", says="(from one...)")
    three.do("here", "move", "--from-anywhere", "--to", "two", "f1", "f2", says="(from one...)")
    three.do("here", "whereis")
    three.do("here", "move", "--from-anywhere", "f3")


def test_a_mirror_gets_what_is_here_and_loses_what_is_not(three: Twins) -> None:
    three.do("here", "get", "f1", "f2")
    three.do("here", "copy", "--to", "two", "f1")
    three.do("here", "copy", "--from", "one", "--to", "two", "f3")
    three.do("here", "mirror", "--to", "two", "f1", "f2", "f3", says="drop f3 (from two...) ok")
    three.do("here", "mirror", "--to", "two", "f1", "f2", "--json")
    three.do("here", "whereis")
    three.do("here", "mirror", "--to", "one", "f4", says="unsafe")


def test_here_becomes_a_mirror(three: Twins) -> None:
    three.do("here", "get", "f1", "f2")
    three.do("two", "get", "f3", "f2")
    three.do_loosely("here", "sync", "--no-content")
    three.do("here", "mirror", "--from", "two", says="get f3")
    three.do("here", "find", "--in", "here")
    three.do("here", "mirror", "--from", "two", "--json")


def test_required_content_is_not_dropped(three: Twins) -> None:
    three.do("here", "get", "f1", "f2", "f3")
    three.do("here", "required", "here", "include=f1 or include=f2")
    three.do("here", "drop", "f1", "f3", says="That file is required content. It cannot be dropped!")
    three.do("here", "drop", "f1", "--json", "--json-error-messages")
    three.do("here", "move", "--to", "two", "f2", says="required content")
    three.do("here", "drop", "--auto", "f1")
    three.do("here", "required", "one", "anything")
    three.do("here", "drop", "--from", "one", "f2", says="required content")
    three.do("here", "move", "--from", "one", "f3", says="required content")
    three.do("here", "drop", "f1", "--force")


def test_a_size_limit_lets_smaller_files_pass(three: Twins) -> None:
    three.write("one/large", "large" * 9000)
    three.do("one", "add", "--quiet")
    three.git("one", "commit", "-qm", "large")
    three.do_loosely("here", "sync", "--no-content")
    three.do("here", "get", "--size-limit", "6kB", says="get f1")
    three.do("here", "find", "--size-limit", "6kB")
    three.do("here", "drop", "--size-limit", "1", "--json")
    three.do("here", "get", "--quiet", "--size-limit", "1GB")      # bars of git-annex's copies come or not
    three.do("here", "fsck", "--size-limit", "6kB")
    three.do("here", "whereis", "--size-limit", "6kB")


def test_a_time_limit_ends_commands(three: Twins) -> None:
    for command in (["get"], ["drop"], ["whereis"], ["copy", "--from", "one"], ["mirror", "--from", "one"]):
        three.do("here", *command, "--time-limit", "0s")
    three.do("here", "get", "--time-limit", "1h5m")


def test_limits_that_make_no_sense_are_refused(three: Twins) -> None:
    three.do_loosely("here", "get", "--time-limit", "1x")
    three.do_loosely("here", "get", "--size-limit", "1x")
    three.do_loosely("here", "add", "--time-limit", "1m")
    three.do_loosely("here", "mirror")


def test_progress_is_told_to_machines_in_the_same_words(three: Twins) -> None:
    three.do("here", "get", "--json-progress", "f1", says='"percent-progress":"100%","total-size":')
    three.do("here", "copy", "--to", "two", "--json-progress", "--json-error-messages", "f1")
    three.do("here", "get", "--json", "--json-progress", "-J1", "f2", says='"byte-progress":')
