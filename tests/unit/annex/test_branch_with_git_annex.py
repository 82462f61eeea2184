"""annexd and a real git-annex change one git-annex branch, one after the other and at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.formats.branch_paths import location_log, metadata_log
from tests.support.environment import PROJECT
from tests.unit.annex.helpers import OTHER, git, git_annex, key, show

pytestmark = pytest.mark.usefixtures("annex_oracle")

WORKER = """
import sys
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from tests.unit.annex.helpers import key
first, count = int(sys.argv[1]), int(sys.argv[2])
with AnnexState.open(b".") as state:
    for number in range(first, first + count):
        if number % 3:
            state.locations.record_many([(key(number), state.uuid, Presence.PRESENT)])
        else:
            state.locations.record(key(number), state.uuid, Presence.PRESENT)
"""


def test_git_annex_sees_what_annexd_wrote(state: AnnexState, annex_path: Path) -> None:
    state.locations.record(key(1), state.uuid, Presence.PRESENT)
    state.locations.record_many([(key(2), state.uuid, Presence.PRESENT), (key(3), OTHER, Presence.PRESENT)])
    state.locations.record(key(2), OTHER, Presence.PRESENT)
    for number, uuids in ((1, {state.uuid}), (2, {state.uuid, OTHER}), (3, {OTHER})):
        out = git_annex(annex_path, "whereis", "--key", str(key(number)))
        assert all(uuid in out for uuid in uuids)
        assert (OTHER in out) == (OTHER in uuids)
    git_annex(annex_path, "info", "--fast")
    assert git(annex_path, "fsck", "--strict", "--no-dangling") == b""


def test_annexd_sees_what_git_annex_wrote_and_left_in_the_journal(state: AnnexState, annex_path: Path) -> None:
    git_annex(annex_path, "setpresentkey", str(key(1)), OTHER.decode(), "1")
    git(annex_path, "config", "annex.alwayscommit", "false")
    git_annex(annex_path, "setpresentkey", str(key(2)), OTHER.decode(), "1")
    assert state.locations.locations_many([key(1), key(2), key(3)]) == {
        key(1): {OTHER},
        key(2): {OTHER},
        key(3): frozenset(),
    }
    state.locations.record_many([(key(2), state.uuid, Presence.PRESENT)])
    assert set(state.locations.locations(key(2))) == {OTHER, state.uuid}
    assert state.branch.journal_is_empty()


def test_annexd_and_git_annex_take_turns_without_losing_anything(state: AnnexState, annex_path: Path) -> None:
    for turn in range(4):
        number = 10 * turn
        git_annex(annex_path, "setpresentkey", str(key(number)), OTHER.decode(), "1")
        state.locations.record_many([(key(number), state.uuid, Presence.PRESENT)])
        git_annex(annex_path, "setpresentkey", str(key(number)), OTHER.decode(), "0")
        state.locations.record(key(number), state.uuid, Presence.MISSING)
        git_annex(annex_path, "setpresentkey", str(key(number + 1)), OTHER.decode(), "1")
    git_annex(annex_path, "merge")
    for turn in range(4):
        assert state.locations.locations(key(10 * turn)) == frozenset()
        uuids = {line.split()[2] for line in show(annex_path, location_log(key(10 * turn)).decode()).splitlines()}
        assert uuids == {OTHER, state.uuid}
        assert state.locations.locations(key(10 * turn + 1)) == {OTHER}
    assert git(annex_path, "fsck", "--strict", "--no-dangling") == b""


def test_processes_that_change_the_branch_at_once_lose_no_line(state: AnnexState, annex_path: Path) -> None:
    shared = [key(number) for number in range(12)]
    problems: list[str] = []

    def run(argv: list[str], stdin: bytes = b"") -> None:
        done = subprocess.run(argv, cwd=annex_path, input=stdin, capture_output=True)
        if done.returncode:
            problems.append(f"{argv}: {done.stderr!r}")

    def set_present() -> None:
        lines = b"".join(b"%b %b 1\n" % (bytes(k), OTHER) for k in shared)
        run(["git-annex", "setpresentkey", "--batch"], lines)
        for k in shared[:4]:
            run(["git-annex", "setpresentkey", str(k), OTHER.decode(), "1"])

    def set_metadata() -> None:
        for number, k in enumerate(shared[:6]):
            run(["git-annex", "metadata", "--key", str(k), "--set", f"field=value{number}"])

    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n" + WORKER]
    tasks = [
        threading.Thread(target=set_present),
        threading.Thread(target=set_metadata),
        threading.Thread(target=run, args=([*command, "0", "12"],)),
        threading.Thread(target=run, args=([*command, "100", "12"],)),
    ]
    for task in tasks:
        task.start()
    for number in range(200, 212):
        state.locations.record_many([(key(number), state.uuid, Presence.PRESENT)])
    for task in tasks:
        task.join()
    assert problems == []
    state.branch.commit()
    found = state.locations.locations_many([*shared, *(key(n) for n in (*range(100, 112), *range(200, 212)))])
    assert all(found[k] == {OTHER, state.uuid} for k in shared)
    assert all(found[key(n)] == {state.uuid} for n in (*range(100, 112), *range(200, 212)))
    for number, k in enumerate(shared[:6]):
        assert b"field +value%d" % number in show(annex_path, metadata_log(k).decode())
    out = git_annex(annex_path, "whereis", "--key", str(shared[0]))
    assert OTHER in out and state.uuid in out
    assert git(annex_path, "fsck", "--strict", "--no-dangling") == b""


def test_git_annex_log_and_fsck_accept_the_branch(state: AnnexState, annex_path: Path) -> None:
    (annex_path / "file").write_bytes(b"content")
    git_annex(annex_path, "add", "file")
    git(annex_path, "commit", "-qm", "file")
    state.locations.record_many([(key(1), OTHER, Presence.PRESENT)])
    assert b"file" in git_annex(annex_path, "log", "file")
    git_annex(annex_path, "fsck")
    assert git(annex_path, "status", "--porcelain") == b""
