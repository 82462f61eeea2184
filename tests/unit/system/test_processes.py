"""Other programs."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from annexd.errors import ProcessError
from annexd.system.processes import CoProcess, run, run_status
from annexd.threads.stop_signal import StopSignal
from tests.support.eventually import eventually


def test_the_output_comes_back_and_the_input_arrives() -> None:
    assert run(["cat"], stdin=b"a\0b") == b"a\0b"
    assert run([b"printf", b"\xff"]) == b"\xff"
    assert run(["cat"]) == b""


def test_much_in_both_directions_does_not_block() -> None:
    data = b"x" * (3 << 20)
    assert run(["cat"], stdin=data) == data


def test_a_failure_tells_status_and_error_output() -> None:
    with pytest.raises(ProcessError, match="failed with status 3: oh no") as caught:
        run(["sh", "-c", "echo oh no >&2; exit 3"])
    assert caught.value.returncode == 3
    assert run_status(["sh", "-c", "echo out; echo err >&2; exit 3"]) == (3, b"out\n", b"err\n")


def test_a_missing_program_is_a_failure() -> None:
    with pytest.raises(ProcessError, match="127") as caught:
        run(["annexd-no-such-program"])
    assert caught.value.returncode == 127


def test_a_program_that_takes_too_long_is_killed_with_its_children() -> None:
    with pytest.raises(ProcessError, match="took too long"):
        run(["sh", "-c", "sleep 60 & sleep 60"], timeout=0.1)


def test_a_program_ends_with_the_stop_signal() -> None:
    stop = StopSignal()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(ProcessError, match="stopped on request"):
        run(["sleep", "60"], stop=stop)


def test_a_set_stop_signal_ends_it_at_once() -> None:
    stop = StopSignal()
    stop.set()
    with pytest.raises(ProcessError):
        run(["sleep", "60"], stop=stop)


def test_directory_and_environment_are_given() -> None:
    assert run(["sh", "-c", "pwd; echo $X"], cwd=b"/", env={**os.environ, "X": "y"}) == b"/\ny\n"


def test_a_co_process_answers_again_and_again() -> None:
    cat = CoProcess(["cat"])
    for line in (b"one\n", b"two\n"):
        cat.stdin.write(line)
        cat.stdin.flush()
        assert cat.stdout.readline() == line
    pid = cat.pid()
    assert pid is not None
    cat.close()
    cat.close()
    assert not cat.is_running()


def test_a_co_process_starts_again_after_its_death() -> None:
    cat = CoProcess(["cat"])
    assert cat.stdin
    first = cat.pid()
    assert first is not None
    os.kill(first, 9)
    assert cat.stdout.read() == b""
    assert cat.failure().returncode == -9
    cat.stdin.write(b"again\n")
    cat.stdin.flush()
    assert cat.stdout.readline() == b"again\n"
    cat.restart()
    assert cat.pid() is None
    cat.close()


def test_the_failure_of_a_co_process_shows_its_error_output() -> None:
    process = CoProcess([sys.executable, "-c", "import sys; sys.exit('it is broken')"])
    assert process.stdout.read() == b""
    eventually(lambda: not process.is_running())
    error = process.failure()
    assert error.returncode == 1
    assert "it is broken" in str(error)


def test_a_co_process_that_does_not_end_is_killed() -> None:
    process = CoProcess(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.01; done"])
    assert process.stdout.readline() == b"up\n"
    process.close(timeout=0.05)
    assert not process.is_running()


def test_a_co_process_that_cannot_start_is_a_failure() -> None:
    with pytest.raises(ProcessError):
        _ = CoProcess(["annexd-no-such-program"]).stdin
