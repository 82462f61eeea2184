"""Sends our history to one remote: straight into a repository on this machine where that is safe, else by git push."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from annexd.annex.adjusted import original_ref
from annexd.annex.state import AnnexState
from annexd.errors import AnnexError, BusyError, DifferencesRefused, GitError
from annexd.formats.adjustment import adjusted_branch
from annexd.git import remotes as git_remotes
from annexd.git.objects import Oid
from annexd.git.pack_transfer import Delivery, DirectDelivery, Outcome
from annexd.git.refs import RefUpdate
from annexd.git.work_trees import checked_out
from annexd.remotes.apart import why_apart
from annexd.remotes.contract import RemoteSpec
from annexd.sync import direct
from annexd.sync.brake import Brake, refusal
from annexd.sync.merge import HEADS, REMOTES, SYNCED
from annexd.sync.relation import Relation, relate
from annexd.threads.stop_signal import StopSignal

ANNEX = b"git-annex"
TRIES = 3


class PushKind(enum.Enum):
    """How a push ended."""

    UP_TO_DATE = "the remote has everything"
    PUSHED = "pushed"
    HELD = "held back until a person lets it go"
    REJECTED = "the remote has history that we lack"
    FAILED = "failed"
    APART = "the remote is tuned otherwise, so that nothing can be exchanged with it"


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What became of a push; `reason` says why it failed, was rejected or held."""

    kind: PushKind
    reason: str = ""


def may_push(spec: RemoteSpec) -> bool:
    """Whether history goes to this remote at all."""
    return spec.config.sync and spec.config.push and not spec.config.readonly and spec.url is not None


class RemotePusher:
    """Pushes to one remote, again and again. Belongs to one thread, as does its `annex`; blocks on disk or network."""

    def __init__(self, annex: AnnexState, brake: Brake | None = None) -> None:
        self._annex = annex
        self._brake = brake or Brake()
        self._delivery: DirectDelivery | None = None
        self._tracking: dict[bytes, Oid] = {}       # remote-tracking refs that are to follow
        self._judged: tuple[RemoteSpec, direct.Marks] | None = None

    def push(self, spec: RemoteSpec, branch: bytes | None, stop: StopSignal) -> PushOutcome:
        """Push the branch (None: no branch is to be pushed) and git-annex. Expected failures come as an outcome."""
        try:
            ours = self._ours(branch)
            hold = self._brake.judge(self._annex, branch, ours)
            if hold is not None:
                return PushOutcome(PushKind.HELD, refusal(hold))
            delivery = self._direct(spec)
            if delivery is not None:
                return self._deliver(spec, delivery, branch, ours)
            return _git_push(self._annex, spec, branch, ours, stop)
        except DifferencesRefused as error:
            return PushOutcome(PushKind.APART, error.message)
        except BusyError as error:
            return PushOutcome(PushKind.REJECTED, str(error))
        except (AnnexError, OSError) as error:
            self._forget()
            return PushOutcome(PushKind.FAILED, str(error))

    def push_tree_if_direct(self, spec: RemoteSpec, branch: bytes | None) -> None:
        """Push the branch alone where that costs next to nothing; what does not work is told by the `push` after it."""
        with suppress(AnnexError, OSError):
            ours = self._ours(branch)
            delivery = self._direct(spec)
            if delivery is None or ours is None or self._brake.judge(self._annex, branch, ours) is not None:
                return
            if plan := self._plan_tree(delivery, branch, ours):
                self._send(spec, delivery, plan)

    def note_tracking(self) -> None:
        """Bring our remote-tracking refs up to date, as git push does; for when there is nothing better to do."""
        tracking, self._tracking = self._tracking, {}
        refs = self._annex.refs
        with suppress(BusyError, GitError, OSError):    # a fetch knows as much, and the next push begins with it
            updates = [
                RefUpdate(ref, oid, before) for ref, oid in tracking.items() if (before := refs.read(ref)) != oid
            ]
            if updates:
                refs.update_many(updates, b"update by push")

    def close(self) -> None:
        """End the helper process in the other repository; the next push starts it again."""
        if self._delivery is not None:
            self._delivery.close()

    def _ours(self, branch: bytes | None) -> Oid | None:
        return None if branch is None else self._annex.refs.read(HEADS + branch)

    def _deliver(
        self, spec: RemoteSpec, delivery: DirectDelivery, branch: bytes | None, ours: Oid | None
    ) -> PushOutcome:
        """Put objects and refs into the other repository ourselves."""
        annex, there = self._annex, delivery.refs
        plan = self._plan_tree(delivery, branch, ours)
        tip = annex.branch.tip()
        if tip is not None and not _contains(annex, there.read(HEADS + ANNEX), tip):
            plan.append(Delivery(HEADS + ANNEX, tip))
            # May be overwritten: who pushes has merged it before, or its owner pushes again.
            plan.append(Delivery(HEADS + SYNCED + ANNEX, tip, force=True))
        return self._send(spec, delivery, plan) if plan else PushOutcome(PushKind.UP_TO_DATE)

    def _plan_tree(self, delivery: DirectDelivery, branch: bytes | None, ours: Oid | None) -> list[Delivery]:
        annex, there = self._annex, delivery.refs
        if branch is None or ours is None:
            return []
        is_checked_out = HEADS + branch in checked_out(delivery.other) or (
            not delivery.other.is_bare and original_ref(there.head()) == HEADS + branch
        )
        # One that somebody may be checking out at this moment must not move: they would take our commits back.
        may_be = not delivery.other.is_bare and there.read(HEADS + branch) is not None
        target = HEADS + SYNCED + branch if is_checked_out or may_be else HEADS + branch
        known = {there.read(HEADS + branch), there.read(target)}
        return [] if any(_contains(annex, oid, ours) for oid in known) else [Delivery(target, ours)]

    def _send(self, spec: RemoteSpec, delivery: DirectDelivery, plan: Sequence[Delivery]) -> PushOutcome:
        outcomes = delivery.deliver(self._annex.objects, plan)
        for _ in range(TRIES - 1):
            if Outcome.MOVED not in outcomes.values():
                break
            outcomes = delivery.deliver(self._annex.objects, plan)      # one ref that moved kept all from moving
        prefix = REMOTES + os.fsencode(spec.name) + b"/"
        there_now = (Outcome.DELIVERED, Outcome.UNCHANGED)
        self._tracking |= {prefix + d.ref[len(HEADS) :]: d.new for d in plan if outcomes[d.ref] in there_now}
        refused = [d.ref for d in plan if outcomes[d.ref] in (Outcome.MOVED, Outcome.NOT_FAST_FORWARD)]
        if any(ref != HEADS + ANNEX for ref in refused):
            return PushOutcome(PushKind.REJECTED, "the remote has commits that are not here")
        is_news = Outcome.DELIVERED in outcomes.values()
        return PushOutcome(PushKind.PUSHED if is_news else PushKind.UP_TO_DATE)

    def _direct(self, spec: RemoteSpec) -> DirectDelivery | None:
        if reason := why_apart(self._annex, spec.name, spec.path):
            raise DifferencesRefused(reason)
        repo = self._annex.repo
        other = self._delivery.other if self._delivery is not None else None
        if self._judged != (spec, direct.marks(repo, other)):
            self._forget()
            target = direct.direct_target(repo, spec)
            self._delivery = DirectDelivery(target) if target is not None else None
            self._judged = (spec, direct.marks(repo, target))
        return self._delivery

    def _forget(self) -> None:
        self.close()
        self._delivery = self._judged = None


def push_remote(annex: AnnexState, spec: RemoteSpec, branch: bytes | None, stop: StopSignal) -> PushOutcome:
    """One push by itself."""
    pusher = RemotePusher(annex)
    try:
        outcome = pusher.push(spec, branch, stop)
        pusher.note_tracking()
        return outcome
    finally:
        pusher.close()


def _contains(annex: AnnexState, there: Oid | None, ours: Oid) -> bool:
    """Whether what the remote has at a ref includes our commit, as far as we can know."""
    if there is None or there == ours:
        return there == ours
    if annex.objects.read(there) is None:
        return False
    return relate(annex.objects, there, ours) is Relation.CONTAINED


# -- git push


def _git_push(
    annex: AnnexState, spec: RemoteSpec, branch: bytes | None, ours: Oid | None, stop: StopSignal
) -> PushOutcome:
    """Source: git-annex, pushes of one sync."""
    specs: list[bytes] = []
    is_new = branch is not None and ours is not None and not _tracks(annex, spec, (branch, SYNCED + branch), ours)
    if branch is not None and ours is not None and is_new:
        commit = ours.hex().encode()        # what was judged, wherever the branch is by now
        directly = git_remotes.push(annex.repo, spec.name, [commit + b":" + HEADS + branch], stop=stop)
        if not _all_ok(directly) or _has_adjusted(annex, spec, branch):
            specs.append(commit + b":" + HEADS + SYNCED + branch)
    tip = annex.branch.tip()
    if tip is not None and not _tracks(annex, spec, (ANNEX, SYNCED + ANNEX), tip):
        specs.append(b"+" + HEADS + ANNEX + b":" + HEADS + SYNCED + ANNEX)
    if not specs:
        return PushOutcome(PushKind.UP_TO_DATE)
    results = git_remotes.push(annex.repo, spec.name, specs, stop=stop)
    if tip is not None:
        git_remotes.push(annex.repo, spec.name, [HEADS + ANNEX], stop=stop)     # only a fast-forward goes through
    refused = [result for result in results if not result.ok]
    if not refused:
        return PushOutcome(PushKind.PUSHED)
    reason = "; ".join(result.reason for result in refused)
    is_old = any(result.rejected for result in refused)
    return PushOutcome(PushKind.REJECTED if is_old else PushKind.FAILED, reason)


def _has_adjusted(annex: AnnexState, spec: RemoteSpec, branch: bytes) -> bool:
    """Whether the branch may be checked out there adjusted: then nobody there looks at the branch itself."""
    prefix = REMOTES + os.fsencode(spec.name) + b"/"
    found = (adjusted_branch(HEADS + ref.removeprefix(prefix)) for ref in annex.refs.list(prefix + b"adjusted/"))
    return any(other is not None and other.original == HEADS + branch for other in found)


def _all_ok(results: Sequence[git_remotes.PushResult]) -> bool:
    return bool(results) and all(result.ok for result in results)


def _tracks(annex: AnnexState, spec: RemoteSpec, names: Sequence[bytes], ours: Oid) -> bool:
    prefix = REMOTES + os.fsencode(spec.name) + b"/"
    return any(annex.refs.read(prefix + name) == ours for name in names)
