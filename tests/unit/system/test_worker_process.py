"""A function of ours in another process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from annexd.errors import ProcessError
from annexd.system.worker_process import WorkerProcess
from tests.support.eventually import eventually

LIMIT = 20.0


def multiplier(factor: int) -> Callable[[int], tuple[int, int]]:
    """Runs in the other process: the product, and that process's id."""

    def multiply(number: int) -> tuple[int, int]:
        if number == 13:
            os._exit(3)
        if number == 12:
            print("not an answer")
        return factor * number, os.getpid()

    return multiply


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    made = WorkerProcess(f"{__name__}:multiplier", 7)
    yield made
    made.close()


def started(worker: WorkerProcess) -> WorkerProcess:
    worker.start()
    eventually(worker.is_ready, LIMIT)
    return worker


def test_it_answers_each_request_in_a_process_of_its_own(worker: WorkerProcess) -> None:
    assert not worker.is_ready()
    started(worker)
    answers = [worker.ask(number) for number in (1, 2, 3)]
    assert [product for product, _ in answers] == [7, 14, 21]
    assert {pid for _, pid in answers} != {os.getpid()}
    assert len({pid for _, pid in answers}) == 1


def test_what_it_prints_does_not_disturb_its_answers(worker: WorkerProcess) -> None:
    assert started(worker).ask(12)[0] == 84


def test_one_that_dies_is_told_of_and_can_be_started_again(worker: WorkerProcess) -> None:
    started(worker)
    with pytest.raises(ProcessError):
        worker.ask(13)
    assert not worker.is_ready()
    assert started(worker).ask(2)[0] == 14


def test_one_that_is_killed_while_nobody_asks_is_told_of_at_the_next_request(worker: WorkerProcess) -> None:
    started(worker)
    os.kill(worker.ask(1)[1], signal.SIGKILL)
    with pytest.raises(ProcessError):
        for _ in range(3):
            worker.ask(1)


def test_it_ends_when_its_input_does(worker: WorkerProcess) -> None:
    pid = started(worker).ask(1)[1]
    worker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_setup_that_fails_is_told_of() -> None:
    worker = WorkerProcess(f"{__name__}:no_such_function", None)
    worker.start()
    with pytest.raises(ProcessError, match="no_such_function"):
        eventually(worker.is_ready, LIMIT)
