"""A person who uses git in a folder that a daemon keeps in sync."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Side

IN_THE_WAY = ("index.lock': File exists", "cannot lock ref", "Unable to create", "unable to lock")
"""What git says when the daemon is just writing; a person tries again."""


class Person:
    """Their git, in the repository of one side, or in another work tree of it."""

    def __init__(self, side: Side, where: Path | None = None) -> None:
        self.side = side
        self.where = where or side.repo

    def __call__(self, *args: str | Path, status: int | None = 0, env: Mapping[str, str] | None = None) -> str:
        """Output of a git command, tried again while the daemon is in the way. `status` None: it may fail."""
        return eventually(lambda: self._try(args, status, env), SYNC_LIMIT, f"git {args[0]}")[0]

    def _try(self, args: tuple[str | Path, ...], status: int | None, env: Mapping[str, str] | None) -> list[str] | None:
        done = subprocess.run(
            ["git", *map(str, args)], cwd=self.where, capture_output=True, text=True, stdin=subprocess.DEVNULL,
            env={**self.side.env, "GIT_EDITOR": "true", **(env or {})},
        )  # fmt: skip
        if done.returncode and any(words in done.stderr for words in IN_THE_WAY):
            return None
        shown = f"git {args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        if status is not None and done.returncode != status:
            raise RuntimeError(shown)       # not an AssertionError, which would be waited for
        return [done.stdout]

    def write(self, path: str, text: str) -> None:
        """Write a file, as an editor does that writes in place."""
        target = self.where / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, message: str, *args: str) -> None:
        """`git commit`, where the daemon may have been quicker."""
        self("commit", "-q", "-m", message, *args, status=None)

    def subject(self, commit: str = "HEAD") -> str:
        """First line of a commit's message."""
        return self("log", "-1", "--format=%s", commit).strip()

    @contextmanager
    def working(self) -> Iterator[Path]:
        """As if a git command of theirs ran for the time of the block: it holds the index."""
        lock = Path(os.fsdecode(self("rev-parse", "--git-path", "index").strip()))
        lock = self.where / f"{lock}.lock"
        eventually(lambda: _create(lock), SYNC_LIMIT, "the lock on the index")
        try:
            yield lock
        finally:
            lock.unlink()


def _create(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def alerts(side: Side) -> dict[str, str]:
    """Names and messages of the alerts that the daemon has raised, from its status file: no program is started."""
    return {alert["name"]: alert["message"] for alert in _status(side).get("alerts", ())}


def pending(side: Side) -> int:
    """How many changes the daemon knows of and has not committed."""
    return int(_status(side).get("pending_changes", 0))


def _status(side: Side) -> dict[str, Any]:
    try:
        return json.loads((side.repo / ".git/annex/annexd/status.json").read_bytes())  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return {}


def stays_aside(side: Side) -> None:
    """Wait until the daemon has seen changes, and keeps them to itself."""
    eventually(lambda: pending(side), SYNC_LIMIT, f"changes that wait at {side.repo.name}")
