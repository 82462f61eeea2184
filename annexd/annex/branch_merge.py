"""Which other git-annex branches there are to merge, and what was decided about them before.

Source: git-annex, merging of sibling branches, mergedrefs and ignoredrefs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from annexd.annex.branch_commit import BRANCH
from annexd.annex.branch_trees import BranchTrees
from annexd.annex.layout import RepoLayout
from annexd.annex.transitions import TRANSITIONS_LOG, message, names_of, read_strictly
from annexd.errors import AnnexError
from annexd.formats.logs.transitions import Transition
from annexd.git.history import is_ancestor
from annexd.git.object_store import GitObjects
from annexd.git.objects import Oid
from annexd.git.refs import Refs
from annexd.system.files import read_file, write_atomically

_PLACES = (b"refs/heads/", b"refs/remotes/")


class Sibling(NamedTuple):
    """Another git-annex branch, and where it is."""

    ref: bytes
    oid: Oid


class Refused(NamedTuple):
    """A sibling that was not merged, and why."""

    ref: bytes
    reason: str


class MergePlan(NamedTuple):
    """What to do about the siblings."""

    merge: tuple[Sibling, ...]
    contained: tuple[Sibling, ...]
    """Those that hold nothing new."""
    refused: tuple[Refused, ...]
    fast_forward: Oid | None
    """The one that descends from the tip and all others."""
    transitions: Transitions | None = None
    """Set when some of those to merge, or we, have not forgotten what others have."""


class Transitions(NamedTuple):
    """What has to be done because not all sides have forgotten the same.

    `transitioned` and `untransitioned` are the siblings that did everything in `all`, and those that did not. With
    `is_new_here` our own branch did not.
    """

    all: frozenset[Transition]
    transitioned: tuple[Sibling, ...]
    untransitioned: tuple[Sibling, ...]
    is_new_here: bool

    @property
    def names(self) -> list[bytes]:
        """The kinds, in order."""
        return names_of(self.all)

    @property
    def message(self) -> bytes:
        """The message of the commit."""
        is_begun = bool(self.transitioned) or not self.is_new_here
        return message(b"continuing transition" if is_begun else b"new branch for transition", self.names)


class MergedRefs:
    """The files mergedrefs and ignoredrefs of one repository. Change them inside the journal lock only."""

    def __init__(self, layout: RepoLayout) -> None:
        self._merged_file = layout.lock(b"mergedrefs")
        self._ignored_file = layout.lock(b"ignoredrefs")

    def candidates(self, refs: Refs) -> list[Sibling]:
        """Siblings that nobody looked at since they moved, sorted by name."""
        done = {oid for oid, _ in self._merged()} | self._ignored()
        found: dict[bytes, Oid] = {}
        for place in _PLACES:
            found.update(refs.list(place))
        siblings = [Sibling(ref, oid) for ref, oid in found.items() if ref.endswith(b"/git-annex") and ref != BRANCH]
        return sorted(sibling for sibling in siblings if sibling.oid not in done)

    def add(self, siblings: Iterable[Sibling]) -> None:
        """Note that these need not be looked at again; for each ref only its newest state is kept."""
        new = {sibling.ref: sibling.oid for sibling in siblings}
        if not new:
            return
        merged = {ref: oid for oid, ref in self._merged()} | new
        lines = [b"%b\t%b\n" % (oid.hex().encode(), ref) for ref, oid in merged.items()]
        write_atomically(self._merged_file, b"".join(lines))

    def ignore(self, oids: Iterable[Oid]) -> None:
        """Note that these are never to be merged: what they hold was taken over, and their history is forgotten."""
        new = set(oids) - (old := self._ignored())
        if new:
            write_atomically(self._ignored_file, b"".join([b"%b\n" % oid.hex().encode() for oid in sorted(old | new)]))

    def _merged(self) -> list[tuple[Oid, bytes]]:
        found = []
        for line in _lines(self._merged_file):
            text, _, ref = line.partition(b"\t")
            with suppress(ValueError):
                found.append((Oid(bytes.fromhex(text.decode("ascii"))), ref))
        return found

    def _ignored(self) -> set[Oid]:
        found = set()
        for line in _lines(self._ignored_file):
            with suppress(ValueError):
                found.add(Oid(bytes.fromhex(line.decode("ascii"))))
        return found


def mergeable_refs(
    objects: GitObjects,
    trees: BranchTrees,
    tip: Oid | None,
    candidates: Sequence[Sibling],
    why_apart: Callable[[Sibling], str],
    transitions_log: bytes | None,
) -> MergePlan:
    """Sort the siblings into those to merge, those that hold nothing new, and those that must not be merged.

    `why_apart` says why one is tuned otherwise, or ""; `transitions_log` is our own.
    """
    ours: frozenset[Transition] = frozenset()
    told: dict[Sibling, frozenset[Transition]] = {}
    merge: list[Sibling] = []
    contained: list[Sibling] = []
    refused: list[Refused] = []
    for sibling in candidates:
        try:
            if tip is not None and is_ancestor(objects, sibling.oid, tip):
                contained.append(sibling)
                continue
            reason = why_apart(sibling)
            if not reason:
                ours = read_strictly(transitions_log, "our own")
                told[sibling] = read_strictly(trees.read(trees.root(sibling.oid), TRANSITIONS_LOG), "its")
        except AnnexError as problem:  # a damaged or shallow ref must not keep the others from being merged
            reason = str(problem)
        if reason:
            refused.append(Refused(sibling.ref, reason))
        else:
            merge.append(sibling)
    newest, differing = _newest(objects, tip, merge), None
    if any(told[sibling] != ours for sibling in merge):
        together = ours.union(*told.values())
        done = tuple(sibling for sibling in merge if told[sibling] == together)
        others = tuple(sibling for sibling in merge if told[sibling] != together)
        newest, differing = None, Transitions(together, done, others, ours != together)
    return MergePlan(tuple(merge), tuple(contained), tuple(refused), newest, differing)


def merge_message(siblings: Sequence[Sibling]) -> bytes:
    """The message of a merge commit."""
    return b"merging %b into git-annex" % b" ".join([short_name(sibling.ref) for sibling in siblings])


def short_name(ref: bytes) -> bytes:
    """b"origin/git-annex" for refs/remotes/origin/git-annex."""
    for place in _PLACES:
        if ref.startswith(place):
            return ref[len(place) :]
    return ref


def _newest(objects: GitObjects, tip: Oid | None, merge: Sequence[Sibling]) -> Oid | None:
    oids = list(dict.fromkeys(sibling.oid for sibling in merge))
    for candidate in oids:
        others = [oid for oid in (tip, *oids) if oid is not None and oid != candidate]
        if all(is_ancestor(objects, other, candidate) for other in others):
            return candidate
    return None


def _lines(path: bytes) -> list[bytes]:
    try:
        return [line for line in read_file(path).split(b"\n") if line]
    except FileNotFoundError:
        return []
