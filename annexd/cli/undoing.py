"""Which changes `undo` takes back: the last one to each path, or all since a moment."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from annexd.annex.state import AnnexState
from annexd.errors import ConfigError, UserError
from annexd.formats.units import parse_duration
from annexd.git.history import read_commit
from annexd.git.objects import Oid
from annexd.git.tree import Blob, Trees

Undone = dict[bytes, Blob | None]


def parse_moment(text: str, now: float) -> int:
    """Seconds since the epoch: so long before `now` ("10m", "2h"), or an ISO 8601 time, by default in local time.

    Raises UserError.
    """
    try:
        return int(now) - parse_duration(text)
    except ConfigError:
        pass
    try:
        return int(datetime.fromisoformat(text.strip()).timestamp())
    except (ValueError, OverflowError) as problem:
        raise UserError(f"{text!r} is no time", hint="use something like 10m, 2h or 2026-11-20T18:30") from problem


def last_change(annex: AnnexState, head: Oid, path: bytes) -> Undone:
    """What takes back the last commit that changed something at or below `path`; nothing when none did."""
    listing = annex.repo.run(
        b"--literal-pathspecs", b"log", b"-n1", b"--format=%H", head.hex().encode(), b"--", path or b"."
    )
    if not listing.strip():
        return {}
    commit = read_commit(annex.objects, Oid(bytes.fromhex(listing.strip().decode())))
    assert commit is not None       # git named it just now
    parent = read_commit(annex.objects, commit.parents[0]) if commit.parents else None
    return _difference(annex, commit.tree, None if parent is None else parent.tree, (path,))


def since(annex: AnnexState, head: Oid, moment: int, paths: Sequence[bytes]) -> Undone:
    """What makes the paths (none: everything) what they were here at that moment. Raises UserError when unknown."""
    then = read_commit(annex.objects, _commit_at(annex, head, moment))
    now = read_commit(annex.objects, head)
    if then is None or now is None:
        raise UserError("the history here does not go back so far")
    return _difference(annex, now.tree, then.tree, paths or (b"",))


def _difference(annex: AnnexState, now: Oid, then: Oid | None, paths: Sequence[bytes]) -> Undone:
    return {
        change.path: change.new for change in Trees(annex.objects).diff(now, then)
        if any(path in (b"", change.path) or change.path.startswith(path + b"/") for path in paths)
    }  # fmt: skip


def _commit_at(annex: AnnexState, head: Oid, moment: int) -> Oid:
    """Where our branch was then: as its reflog tells; where that is too short, as the times of commits do."""
    ref = annex.refs.head().ref or b"HEAD"
    log = annex.repo.complete(b"reflog", b"show", b"--date=unix", b"--format=%H %gd", ref, b"--")
    for line in log.stdout.splitlines() if log.returncode == 0 else ():
        commit, _, entry = line.partition(b" ")
        when = entry.rpartition(b"@{")[2].rstrip(b"}")
        if when.isdigit() and int(when) <= moment:
            return Oid(bytes.fromhex(commit.decode()))
    before = b"--before=@%d" % moment
    found = annex.repo.run(b"rev-list", b"-n1", before, head.hex().encode()).strip()
    if moment < 0 or not found:
        when_text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(max(moment, 0)))
        raise UserError(f"the history here does not go back to {when_text}")
    return Oid(bytes.fromhex(found.decode()))
