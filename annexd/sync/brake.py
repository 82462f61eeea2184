"""Holds a branch back when too much of it was deleted or rewritten in a short time, until a person has said what to do.

The commit is made as ever. What is held is its way out: we push neither the branch nor the git-annex branch, and
uploadpack.hideRefs keeps the branch from those who fetch from here. What others deleted is their affair, and what
a person pushes by hand is that person's.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from annexd.annex.brake_settings import BrakeSettings
from annexd.annex.state import AnnexState
from annexd.errors import UserError
from annexd.git.history import commits_between, is_ancestor, read_commit
from annexd.git.objects import Oid
from annexd.git.tree import Trees
from annexd.sync.brake_state import HINT, BrakeFile, BranchState, Foreign, Hold, Mark, holds
from annexd.sync.losses import NOTHING, Losses, count_files, find_losses, touched_paths
from annexd.system.lock_pool import LOCKS
from annexd.system.logging import get_logger
from annexd.threads.deadline import Deadline

HEADS = b"refs/heads/"
SYNCED = b"refs/heads/synced/"
REMOTES = b"refs/remotes/"
HIDDEN = b"uploadpack.hideRefs"
LOCK_SECONDS = 60.0
FAR = 2000      # commits between two points of a history, above which nothing is made of it

log = get_logger(__name__)

_Judged = tuple[bytes, Oid, object, BrakeSettings | None]


class Brake:
    """Judges what is about to be pushed. Any thread may call; judging takes a lock file, and reads git objects.

    `settings` says how the brake is set now. `tell` gets all that is held after each judgement that was not known yet.
    """

    def __init__(
        self,
        settings: Callable[[AnnexState], BrakeSettings | None] = lambda annex: annex.config.brake,
        tell: Callable[[Mapping[bytes, Hold]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._tell = tell
        self._lock = threading.Lock()       # leaf: guards the two fields below
        self._known: tuple[_Judged, Hold | None] | None = None
        self._contained: set[Oid] = set()   # tips of others in which nothing is new to us

    def judge(self, annex: AnnexState, branch: bytes | None, ours: Oid | None) -> Hold | None:
        """What keeps `ours`, where the branch is now, from going out; None when it may go, which is noted.

        Without a branch (None: only git-annex would be pushed) whatever is held counts. Raises LockTimeout, OSError,
        GitError, RepositoryError.
        """
        file, settings = BrakeFile(annex.layout), self._settings(annex)
        if settings is None:
            if file.mark() is not None:
                self._switch_off(annex, file)
            return None
        if branch is None or ours is None:
            return next(iter(holds(annex.layout)), None)
        os.makedirs(annex.layout.annexd_dir, exist_ok=True)
        with self._lock:
            if self._known is not None and self._known[0] == (branch, ours, file.mark(), settings):
                return self._known[1]
        with LOCKS.exclusive(file.lock, Deadline(LOCK_SECONDS)):
            branches = file.load()
            before = branches.get(branch)
            after = self._step(annex, settings, before or _beginning(annex, ours), ours, branch)
            if after != before:
                branches[branch] = after
                file.save(branches, durable=after.hold is not None)
            if after.hold is not None or (before is not None and before.hold is not None):
                hide(annex, branch, is_hidden=after.hold is not None)
            judged = (branch, ours, file.mark(), settings)
        with self._lock:
            self._known = (judged, after.hold)
        self._tell({name: state.hold for name, state in branches.items() if state.hold is not None})
        return after.hold

    def may_grow(self, annex: AnnexState, branch: bytes | None, ours: Oid | None) -> bool:
        """Whether the brake is on and `ours` takes files away, so that more of it may be on its way; no judgement yet.

        Raises GitError, RepositoryError.
        """
        if branch is None or ours is None or self._settings(annex) is None:
            return False
        state = BrakeFile(annex.layout).load().get(branch)
        return state is not None and state.hold is None and _takes_away(annex, state.last.commit, ours)

    def _switch_off(self, annex: AnnexState, file: BrakeFile) -> None:
        with LOCKS.exclusive(file.lock, Deadline(LOCK_SECONDS)):
            for branch, state in file.load().items():
                if state.hold is not None:
                    hide(annex, branch, is_hidden=False)
            file.remove()
        self._tell({})

    def _step(
        self, annex: AnnexState, settings: BrakeSettings, state: BranchState, ours: Oid, branch: bytes
    ) -> BranchState:
        """The state once `ours` was looked at."""
        if ours == state.last.commit and state.hold is None:
            return state
        now, tips = time.time(), _others(annex, branch)
        state = state.with_foreign(self._news_of_others(annex, tips, state.last.commit, now))
        held = None
        if not any(self._has(annex, tip, ours) for tip in tips):
            held = _worst(annex, settings, state, ours, branch, now)
        if held is None:
            if state.hold is not None:
                log.info("brake.released", branch=branch)
            takes_away = _takes_away(annex, state.last.commit, ours)
            return state.let_through(now, ours, settings.window, takes_away=takes_away)
        if state.hold is None:
            log.warning("brake.held", branch=branch, deleted=held.deleted, rewritten=held.rewritten, files=held.files)
        return replace(state, hold=held)

    def _has(self, annex: AnnexState, tip: Oid, ours: Oid) -> bool:
        """Whether the others at `tip` have our commit already."""
        return tip == ours or (tip not in self._contained and is_ancestor(annex.objects, ours, tip))

    def _news_of_others(self, annex: AnnexState, tips: Iterable[Oid], known: Oid, now: float) -> list[Foreign]:
        """History that others made and that was not in what we let through so far: before we push it is theirs."""
        found = []
        for tip in tips:
            if tip == known or tip in self._contained:
                continue
            if commits_between(annex.objects, tip, [known], FAR):
                found.append(Foreign(now, tip, known))
            else:
                self._contained.add(tip)
        return found


def accept(annex: AnnexState) -> list[Hold]:
    """Let everything go out that is held back, as it is now; what it was."""
    file = BrakeFile(annex.layout)
    with LOCKS.exclusive(file.lock, Deadline(LOCK_SECONDS)):
        branches = file.load()
        held = {name: state.hold for name, state in branches.items() if state.hold is not None}
        for branch in held:
            ours = annex.refs.read(HEADS + branch)
            if ours is None:
                del branches[branch]
            else:
                branches[branch] = BranchState(Mark(time.time(), ours))
        if held:
            file.save(branches, durable=True)
        for branch in held:
            hide(annex, branch, is_hidden=False)
    return list(held.values())


def lost_files(annex: AnnexState, hold: Hold, ours: Oid) -> Losses:
    """What is missing at `ours` of what there was before the hold."""
    base = _oid(hold.base)
    state = BrakeFile(annex.layout).load().get(hold.branch.encode("utf-8", "surrogateescape"))
    if _tree(annex, base) is None or state is None:
        raise UserError("what was there before is not in this repository any more", hint="see git reflog")
    settings = BrakeSettings(percent=0.0, window=0.0, files=1)
    return _losses(annex, settings, state, _oid(hold.start), base, ours)


def hide(annex: AnnexState, branch: bytes, *, is_hidden: bool) -> None:
    """Have git show the branch to those who fetch from here, or not. Raises GitError."""
    repo, ref = annex.repo, HEADS + branch
    listed = repo.complete(b"config", b"--local", b"--get-all", b"-z", HIDDEN).stdout.split(b"\0")
    if is_hidden and ref not in listed:
        repo.run(b"config", b"--local", b"--add", HIDDEN, ref)
    elif not is_hidden and ref in listed:
        repo.run(b"config", b"--local", b"--fixed-value", b"--unset-all", HIDDEN, ref)


def refusal(hold: Hold) -> str:
    """What to tell who wanted to push."""
    return f"{hold}; {HINT}"


def _beginning(annex: AnnexState, ours: Oid) -> BranchState:
    """The brake was just switched on: what somebody else has was let through; if nobody has anything, all of it."""
    known = frozenset(annex.refs.list(REMOTES).values())
    fresh = commits_between(annex.objects, ours, known, FAR) if known else None
    base = ours
    if fresh:
        outside = {oid for oid, _ in fresh}
        base = next((p for _, commit in fresh for p in commit.parents if p not in outside), ours)
    return BranchState(Mark(time.time(), base))


def _others(annex: AnnexState, branch: bytes) -> list[Oid]:
    """Where other repositories are known to be, with this branch and what they pushed here of it."""
    refs = annex.refs.list(REMOTES)
    found = [oid for ref, oid in refs.items() if not ref.endswith(b"/git-annex")]
    pushed = annex.refs.read(SYNCED + branch)
    return [*found, pushed] if pushed is not None else found


def _worst(
    annex: AnnexState, settings: BrakeSettings, state: BranchState, ours: Oid, branch: bytes, now: float
) -> Hold | None:
    """What is too much, compared with any state of the branch within the window; the worst of several."""
    before = state.hold
    since = now if before is None else before.since
    points = state.points(since - settings.window)
    start = points[0] if before is None else _oid(before.start)
    worst = None
    for base in dict.fromkeys((start, *points)):
        losses = _losses(annex, settings, state, start, base, ours)
        files = count_files(annex, _tree(annex, base)) if len(losses) >= settings.files else 0
        if len(losses) < settings.files or len(losses) * 100 <= settings.percent * files:
            continue
        name, deleted, rewritten = branch.decode("utf-8", "surrogateescape"), len(losses.deleted), len(losses.rewritten)
        found = Hold(name, base.hex(), start.hex(), since, deleted, rewritten, files)
        if worst is None or deleted + rewritten >= worst.deleted + worst.rewritten:
            worst = found
    return worst


def _takes_away(annex: AnnexState, before: Oid, after: Oid) -> bool:
    trees = Trees(annex.objects)
    return any(change.old is not None for change in trees.diff(_tree(annex, before), _tree(annex, after)))


def _losses(
    annex: AnnexState, settings: BrakeSettings, state: BranchState, start: Oid, base: Oid, ours: Oid
) -> Losses:
    """What is lost from `base` to `ours` by commits that are not others'."""
    old, new = _tree(annex, base), _tree(annex, ours)
    if old is None:
        return NOTHING      # of a history that was thrown away
    losses = find_losses(annex, old, new, start=_tree(annex, start), least=settings.files)
    if len(losses) < settings.files:
        return NOTHING
    commits = commits_between(annex.objects, ours, [base], FAR)
    if commits is None:
        return losses
    theirs: set[Oid] = set()
    for each in state.foreign:
        theirs.update(oid for oid, _ in commits_between(annex.objects, each.tip, [each.known], FAR) or ())
    return losses.among(touched_paths(annex, [oid for oid, _ in commits if oid not in theirs]))


def _tree(annex: AnnexState, commit: Oid) -> Oid | None:
    found = read_commit(annex.objects, commit)
    return None if found is None else found.tree


def _oid(text: str) -> Oid:
    return Oid(bytes.fromhex(text))
