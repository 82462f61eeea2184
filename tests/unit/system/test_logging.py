"""Structured logs."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.formats.key import Key
from annexd.system import logging
from annexd.system.log_file import RotatingFile
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread

log = logging.get_logger("annexd.assistant.committer")


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "daemon.log"
    end = logging.set_up(log_file=os.fsencode(path), level=logging.Level.DEBUG)
    yield path
    end()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_an_event_is_one_line_of_json(written: Path) -> None:
    log.info("file.added", key=Key.parse(b"SHA256E-s3--aa"), path=b"a\xff\nb", bytes=3, parts=(b"x", None))
    (event,) = lines(written)
    assert event["event"] == "file.added"
    assert event["level"] == "info"
    assert event["part"] == "committer"
    assert event["thread"] == "MainThread"
    assert event["key"] == "SHA256E-s3--aa"
    assert event["path"] == "a\\xff\\nb"
    assert (event["bytes"], event["parts"]) == (3, ["x", None])


def test_context_and_bound_values_are_in_each_event_of_their_thread(written: Path) -> None:
    with logging.context(transfer="t1"):
        log.bind(remote="usb").info("transfer.started")
        thread = NamedThread("other", lambda: log.info("thread.started"))
        thread.start()
        assert thread.join(Deadline(5))
    first, second = lines(written)
    assert (first["transfer"], first["remote"]) == ("t1", "usb")
    assert "transfer" not in second
    assert second["thread"] == "other"


def test_a_traceback_is_written_with_the_error(written: Path) -> None:
    try:
        raise ValueError("boom")
    except ValueError as error:
        log.error("thread.crashed", exc_info=error)
    assert "ValueError: boom" in str(lines(written)[0]["exception"])


def test_events_below_the_level_are_not_written(tmp_path: Path) -> None:
    console = io.StringIO()
    end = logging.set_up(console=console, level=logging.Level.WARNING)
    log.info("quiet.event")
    log.warning("loud.event")
    end()
    assert [json.loads(line)["event"] for line in console.getvalue().splitlines()] == ["loud.event"]


def test_a_terminal_gets_text() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    console = Terminal()
    end = logging.set_up(console=console)
    log.info("file.added", path=b"a b")
    end()
    assert "file.added" in console.getvalue()
    assert not console.getvalue().startswith("{")


def test_a_terminal_that_goes_away_does_not_stop_the_log_file(tmp_path: Path) -> None:
    console = io.StringIO()
    end = logging.set_up(console=console, log_file=os.fsencode(tmp_path / "log"))
    console.close()
    log.info("one.event")
    log.info("two.event")
    end()
    assert [event["event"] for event in lines(tmp_path / "log")] == ["one.event", "two.event"]


def test_a_command_without_a_log_tells_only_of_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("file.added")
    log.warning("file.skipped", path=b"x\n")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "warning: file.skipped path=x\\n\n")


def test_a_log_file_is_rotated_and_the_oldest_go(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    file = RotatingFile(os.fsencode(path), largest=100, kept=3)
    for number in range(40):
        file.write_line(b"%030d" % number)
    file.close()
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]
    kept = b"".join((tmp_path / name).read_bytes() for name in reversed(names)).split()
    assert [int(line) for line in kept] == list(range(40))[-len(kept) :]
    assert all((tmp_path / name).stat().st_size <= 100 for name in names)


def test_a_log_goes_on_where_it_was(tmp_path: Path) -> None:
    for _ in range(2):
        file = RotatingFile(os.fsencode(tmp_path / "log"))
        file.write_line(b"line")
        file.close()
    assert (tmp_path / "log").read_bytes() == b"line\nline\n"
