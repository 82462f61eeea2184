"""`why` and `status`: the reason for everything that is not where it should be."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.support.annexd import Annexd, Done
from tests.support.eventually import eventually
from tests.support.pair import Pair
from tests.support.terminal import annexd_on_terminal


def annexd(pair: Pair, *args: str, status: int = 0) -> Done:
    """A command in `a`."""
    return Annexd(dict(pair.a.env))(pair.a.repo, *args, status=status)


def why(pair: Pair, *args: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(annexd(pair, "why", "--json", *args).out)
    return record


def standing(pair: Pair, *args: str) -> dict[str, Any]:
    (found,) = why(pair, *args)["where"]
    return dict(found)


def test_without_a_daemon_the_repository_itself_explains(pair: Pair) -> None:
    pair.a.write("f", b"content\n")
    annexd(pair, "add")
    pair.a.git("commit", "-qm", "f")
    assert why(pair, "f", "here")["where"][0]["state"] == "present"
    assert standing(pair, "f", "b") | {"advice": ""} == {
        "name": "b", "has_it": False, "wants_it": True, "state": "absent",
        "reason": "nothing was done to send it yet", "advice": "", "next_try": None,
    }  # fmt: skip
    text = annexd(pair, "why", "f").out
    assert "annexd is not running" in text and "run: annexd copy --to b" in text
    annexd(pair, "wanted", "b", "exclude=*")
    assert standing(pair, "f", "b")["state"] == "not wanted"
    annexd(pair, "copy", "--to", "b", "f")
    annexd(pair, "drop", "f")
    assert "run: annexd get" in annexd(pair, "why", "f", "here").out
    os.rename(pair.b.repo, pair.b.repo.with_name("away"))
    assert standing(pair, "f", "here")["reason"] == "only b has it"
    os.rename(pair.b.repo.with_name("away"), pair.b.repo)
    assert annexd(pair, "why", "nothing", status=1).err
    assert annexd(pair, "why", "f", "nobody", status=1).err


def test_a_slow_transfer_is_seen_with_what_waits_behind_it(pair: Pair) -> None:
    pair.a.git("config", "annex.bwlimit", "50kB")
    pair.a.git("config", "annex.jobs", "1")
    pair.a.start()
    for name in ("one", "two"):
        pair.a.write(name, os.urandom(2_000_000))

    def now() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(annexd(pair, "status", "--json").out)["now"]
        return found

    def is_seen() -> bool:
        status = now()
        return bool(status["running"] and status["running"][0]["done"] and status["queue"])

    eventually(is_seen, 30)
    status = now()
    (running,) = status["running"]
    assert running["total"] == 2_000_000 and 0 < running["bytes_per_second"] < 200_000 and running["seconds_left"] > 5
    assert status["remotes"]["b"]["limits"] == {"upload": 50_000, "download": 50_000}
    (queued,) = status["queue"]
    assert "slots are at work" in queued["reason"] or "as many transfers" in queued["reason"]
    text = annexd(pair, "status").out
    assert "uploads limited to 50 kB/s" in text and "left" in text
    assert standing(pair, running["file"], "b")["state"] == "running"
    assert standing(pair, queued["file"], "b")["state"] == "queued"

    pair.a.git("config", "annex.bwlimit", "1GB")       # which is heeded at once
    eventually(lambda: not now()["running"] and not now()["queue"], 15)
    assert standing(pair, queued["file"], "b")["state"] == "present"


def test_watching_shows_transfers_as_they_go_on_until_ctrl_c(pair: Pair) -> None:
    pair.a.git("config", "annex.bwlimit", "50kB")
    pair.a.start()
    pair.a.write("one", os.urandom(2_000_000))
    with annexd_on_terminal(pair.a.repo, "status", "--watch", env=pair.a.env, rows=30) as terminal:
        seen: set[str] = set()

        def is_moving() -> bool:
            seen.update(line for line in terminal.screen if "one to b: " in line and "/s, " in line and " left" in line)
            return len(seen) >= 2

        terminal.watch(is_moving)
        assert sum(" running in " in line for line in terminal.screen) == 1, "each look takes the place of the last"
        pair.a.git("config", "annex.bwlimit", "1GB")
        terminal.watch(lambda: any("transfers: 0 running" in line for line in terminal.screen))
        terminal.type(b"\x03")
        assert terminal.wait() == 0
