"""What actions look like as text and as JSON."""

from __future__ import annotations

import json

import pytest

from annexd.cli.reporters.contract import Reporter
from annexd.cli.reporters.json import JsonReporter
from annexd.cli.reporters.quoting import Quoting, quote
from annexd.cli.reporters.text import QuietReporter, TextReporter
from annexd.formats.key import Key

KEY = Key(b"SHA256E", b"abc.txt", 3)


def play(reporter: Reporter) -> int:
    """One action that works and one that does not."""
    good = reporter.begin("get", file=b"a b", key=KEY, given=["a b"])
    good.note("from origin...")
    good.progress(3, 3)
    good.field("wanted", [])
    good.succeed()
    bad = reporter.begin("get", file=b"c", key=KEY, given=["c"])
    bad.note("unsafe")
    bad.long_note("line one\n\tline two\n")
    bad.advice("for people")
    bad.error("no luck")
    bad.fail()
    reporter.info("(recording state in git...)")
    return reporter.finish()


def test_text_is_laid_out_as_git_annex_does(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert play(TextReporter("git-annex", "get")) == 1
    shown = capfdbinary.readouterr()
    assert shown.out == (
        b"get a b (from origin...) ok\n"
        b"get c (unsafe) \n  line one\n  \tline two\n\n  for people\n\nfailed\n"
        b"(recording state in git...)\n"
    )
    assert shown.err == b"git-annex: no luck\nget: 1 failed\n"


def test_json_is_one_object_per_action_with_sorted_fields(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert play(JsonReporter("git-annex", "get", errors_inside=False)) == 1
    shown = capfdbinary.readouterr()
    assert shown.out == (
        b'{"command":"get","error-messages":[],"file":"a b","input":["a b"],"key":"SHA256E-s3--abc.txt",'
        b'"note":"from origin...","success":true,"wanted":[]}\n'
        b'{"command":"get","error-messages":[],"file":"c","input":["c"],"key":"SHA256E-s3--abc.txt",'
        b'"note":"unsafe\\nline one\\n\\tline two\\n","success":false}\n'
    )
    assert shown.err == b"git-annex: no luck\nget: 1 failed\n"


def test_json_can_hold_the_errors(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    play(JsonReporter("git-annex", "get", errors_inside=True))
    shown = capfdbinary.readouterr()
    assert json.loads(shown.out.splitlines()[1])["error-messages"] == ["git-annex: no luck"]
    assert shown.err == b"get: 1 failed\n"


def test_json_progress_repeats_the_action(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    reporter = JsonReporter("git-annex", "get", errors_inside=False, progress=True)
    reporter.begin("get", file=b"f", key=KEY).progress(1, 3)
    line = json.loads(capfdbinary.readouterr().out)
    assert line["byte-progress"] == 1
    assert line["percent-progress"] == "33.33%"
    assert line["action"]["file"] == "f"


def test_quiet_says_errors_only(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    play(QuietReporter("git-annex", "get"))
    shown = capfdbinary.readouterr()
    assert shown.out == b""
    assert shown.err == b"git-annex: no luck\nget: 1 failed\n"


def test_concurrent_actions_are_printed_whole(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    reporter = TextReporter("git-annex", "get", concurrent=True)
    one, two = reporter.begin("get", file=b"one"), reporter.begin("get", file=b"two")
    one.note("x")
    two.note("y")
    two.succeed()
    one.succeed()
    reporter.finish()
    assert capfdbinary.readouterr().out == b"get two (y) ok\nget one (x) ok\n"


@pytest.mark.parametrize(
    ("path", "quoting", "shown"),
    [
        (b"plain", Quoting.ALL, "plain"),
        (b"with space", Quoting.ALL, "with space"),
        (b"a\nb\t\x01\"\\", Quoting.ALL, '"a\\nb\\t\\001\\"\\\\"'),
        ("é".encode(), Quoting.ALL, '"\\303\\251"'),
        ("é".encode(), Quoting.CONTROL, "é"),
        ("é\n".encode(), Quoting.CONTROL, '"é\\n"'),
    ],
)
def test_names_are_quoted_as_git_quotes_them(path: bytes, quoting: Quoting, shown: str) -> None:
    assert quote(path, quoting) == shown
