"""Options anywhere between the words."""

from __future__ import annotations

import pytest

from annexd.cli.arguments import Parser, UsageProblem, add_common, add_keys, add_matching


def parser() -> Parser:
    found = Parser("annexd get", "[PATH ...]", "get content")
    add_keys(found)
    add_matching(found)
    add_common(found)
    return found


def test_options_may_stand_between_and_behind_the_words() -> None:
    options = parser().parse(["a", "--in", "here", "b", "--force", "-c", "x.y=z"])
    assert options.words == ["a", "b"]
    assert options.force
    assert options.config == ["x.y=z"]


def test_everything_behind_two_dashes_is_a_word() -> None:
    assert parser().parse(["--force", "--", "--all", "-x"]).words == ["--all", "-x"]


def test_matching_options_keep_their_order() -> None:
    options = parser().parse(["--not", "-(", "--in=a", "--or", "--copies", "2", "-)", "--include=*.txt"])
    assert options.matching == [
        ("not", ""), ("(", ""), ("in", "a"), ("or", ""), ("copies", "2"), (")", ""), ("include", "*.txt"),
    ]


def test_no_matching_option_leaves_none() -> None:
    assert not parser().parse([]).matching


@pytest.mark.parametrize("argv", [["--forc"], ["-Q"], ["--all=1"], ["--all", "--key", "x"]], ids=str)
def test_what_is_no_option_is_a_usage_problem(argv: list[str]) -> None:
    with pytest.raises(UsageProblem):
        parser().parse(argv)
