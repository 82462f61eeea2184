"""The status is replaced as a whole; alerts are said once and end."""

from __future__ import annotations

import json

from annexd.assistant.alerts import Alerts
from annexd.assistant.status import Alert, Phase, Severity, Status, StatusBoard
from annexd.assistant.troubles import Troubles


def make_board() -> StatusBoard:
    return StatusBoard(Status(1, 0.0, "1"))


def test_the_status_is_json() -> None:
    board = make_board()
    board.set(phase=Phase.RUNNING, branch="main")
    board.count(files_committed=3)
    board.count(files_committed=2)
    board.set_remote("b", available=False)
    found = json.loads(board.get().to_json())
    assert (found["phase"], found["branch"], found["files_committed"]) == ("running", "main", 5)
    assert found["remotes"][0]["available"] is False


def test_remotes_that_are_not_configured_any_more_are_forgotten() -> None:
    board = make_board()
    board.set_remote("a")
    board.set_remote("b")
    board.keep_remotes(frozenset({"b"}))
    assert [remote.name for remote in board.get().remotes] == ["b"]


def test_the_same_alert_is_said_once() -> None:
    said: list[Alert] = []
    alerts = Alerts(make_board(), said.append)
    alerts.raise_alert("disk", "it is full")
    alerts.raise_alert("disk", "it is full")
    alerts.raise_alert("disk", "it is fuller")
    assert [alert.message for alert in said] == ["it is full", "it is fuller"]


def test_an_alert_that_is_over_is_gone_and_can_come_again() -> None:
    board = make_board()
    said: list[Alert] = []
    alerts = Alerts(board, said.append)
    for _ in range(2):
        alerts.raise_alert("disk", "it is full", severity=Severity.ERROR)
        assert alerts.is_raised("disk")
        alerts.clear("disk")
        assert not alerts.is_raised("disk") and board.get().alerts == ()
    assert len(said) == 2


def test_clearing_what_was_never_raised_does_nothing() -> None:
    Alerts(make_board()).clear("nothing")


def test_paths_in_trouble_are_told_by_kind() -> None:
    board = make_board()
    troubles = Troubles(Alerts(board))
    for number in range(5):
        troubles.note("unreadable", b"f%d" % number, "cannot be read", "Permission denied")
    (alert,) = board.get().alerts
    assert "f0" in alert.message and "Permission denied" in alert.message and "2 more" in alert.message
    for number in range(5):
        troubles.forget(b"f%d" % number)
    assert board.get().alerts == () and not troubles.has_any()


def test_a_directory_that_is_fine_takes_the_troubles_below_it_along() -> None:
    board = make_board()
    troubles = Troubles(Alerts(board))
    troubles.note("special", b"d/fifo", "is left alone")
    troubles.note("special", b"dd/fifo", "is left alone")
    troubles.forget(b"d")
    (alert,) = board.get().alerts
    assert "dd/fifo" in alert.message and " d/fifo" not in alert.message
