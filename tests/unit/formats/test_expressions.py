"""Expressions: which files go to the annex; the tables were made with `git annex matchexpression`."""

from __future__ import annotations

import pytest

from annexd.errors import ConfigError
from annexd.formats.glob import Glob, LetterCase
from annexd.formats.largefiles import MatchFile, compile_matcher

FILE = MatchFile(b"a/b.c", 1000, lambda: b"#!/bin/sh\n")

MATCHING = ["", "()", "nothing and nothing or anything", "not nothing or nothing", "anything and", "or nothing"]
MATCHING += ["or anything", "(anything", "anything)", "nothing or or anything", "not not anything"]
MATCHING += ["nothing or not nothing", "anything not nothing", "anything (nothing or anything) not nothing"]
MATCHING += ["include=a/*", "include=a/b.?", "include=a/[bx].c", "include=a/[!x].c", "include=a/[^x].c"]
MATCHING += ["include=a/[a-c].c", "include=a*c", "exclude=", "largerthan=999", "largerthan=0.9KiB", "largerthan=1e2"]
MATCHING += ["largerthan=5bytes", "nothing\tor\nanything", "nothing or()", "nothing or anything and", "largerthan=5B"]
MATCHING += ["nothing)or anything", "(largerthan=0b)and(include=*.c)", "largerthan=1kb or include=*.c"]

NOT_MATCHING = ["anything or anything and nothing", "not nothing and nothing", "not (nothing) nothing"]
NOT_MATCHING += ["anything nothing", "not", "and nothing", "anything) nothing", "not not nothing", "include=A/*"]
NOT_MATCHING += [r"include=a/\b.c", "include=", "include", "largerthan=1kb", "smallerthan=1kb", "smallerthan=1.0001kb"]
NOT_MATCHING += ["include=a/b.c or include=x and nothing", "include=b.c", "exclude=*.c"]

BAD = ["ANYTHING", "larger than", "largerthan=1x", "largerthan=", "largerthan=kb", "true", "copies=1", "unlocked"]
BAD += ["anything=x", "(" * 200 + "anything", "not " * 20001]


@pytest.mark.parametrize("expr", MATCHING)
def test_the_expression_matches_where_git_annex_matches(expr: str) -> None:
    assert compile_matcher(expr).matches(FILE)


@pytest.mark.parametrize("expr", NOT_MATCHING)
def test_the_expression_does_not_match_where_git_annex_does_not(expr: str) -> None:
    assert not compile_matcher(expr).matches(FILE)


@pytest.mark.parametrize("expr", BAD, ids=lambda expr: expr[:20])
def test_a_bad_expression_is_a_configuration_error(expr: str) -> None:
    with pytest.raises(ConfigError):
        compile_matcher(expr)


def test_a_long_chain_of_terms_needs_no_deep_stack() -> None:
    chain = " and ".join(["exclude=*.o"] * 3000)
    assert compile_matcher(chain).matches(FILE)
    assert not compile_matcher(chain + " and nothing").matches(FILE)


class Kinds:
    def mime_type(self, head: bytes) -> str:
        return "text/x-shellscript" if head.startswith(b"#!") else "application/octet-stream"

    def mime_encoding(self, head: bytes) -> str:
        return "us-ascii" if head.isascii() else "binary"


def test_kinds_of_files_are_matched_by_their_first_bytes() -> None:
    assert compile_matcher("mimetype=text/*", Kinds()).matches(FILE)
    assert not compile_matcher("mimeencoding=binary", Kinds()).matches(FILE)


def test_a_file_is_not_read_when_its_kind_does_not_matter() -> None:
    def never() -> bytes:
        raise AssertionError("read for nothing")

    unread = MatchFile(b"a.mp3", 5, never)
    assert compile_matcher("include=*.mp3 or mimetype=audio/*", Kinds()).matches(unread)


def test_without_the_library_a_kind_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "magic", None)
    with pytest.raises(ConfigError, match="python-magic"):
        compile_matcher("mimetype=text/*")


GLOBS = [("*", "", True), ("*", "a/b\n", True), ("?", "é", True), ("[]x]", "]", True), ("[!]x]", "]", False)]
GLOBS += [("a[", "a[", True), ("a.b", "axb", False), ("[a-c]*", "bcd", True), ("[z-a]", "[z-a]", True)]
GLOBS += [("[^", "[^", True), ("[[a]", "[", True), ("[a&&b]", "&", True), ("*.MP3", "x.mp3", False)]


@pytest.mark.parametrize(("pattern", "text", "expected"), GLOBS)
def test_globs_match_whole_names(pattern: str, text: str, expected: bool) -> None:
    assert Glob(pattern).matches(text.encode()) is expected


def test_letter_case_can_be_ignored() -> None:
    assert Glob("*.MP3", LetterCase.IGNORED).matches(b"x.mp3")
    assert Glob("\udcff*").matches(b"\xff\xfe")
