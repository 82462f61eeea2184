"""The git-annex branch: what all repositories know of each other, as files of lines that merge.

Source: git-annex, the git-annex branch and its journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from annexd.annex import differences, hooks, transitions
from annexd.annex.branch_commit import BRANCH, Base, BranchWriter
from annexd.annex.branch_merge import (
    MergedRefs,
    MergePlan,
    Refused,
    Sibling,
    Transitions,
    merge_message,
    mergeable_refs,
)
from annexd.annex.branch_trees import BranchTrees, Change, Root
from annexd.annex.config import AnnexConfig
from annexd.annex.identity import identity_of
from annexd.annex.journal import Journal, JournalLocked
from annexd.annex.layout import RepoLayout
from annexd.annex.transitions import TRANSITIONS_LOG, read_strictly
from annexd.errors import AnnexError, RefMoved
from annexd.formats.logs import difference, uuid_based
from annexd.formats.logs import transitions as transitions_log
from annexd.formats.logs.transitions import Transition
from annexd.formats.paths import display
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from annexd.git.commit import Identity
from annexd.git.object_store import GitObjects
from annexd.git.objects import TREE, Oid
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository

ORIGIN = b"refs/remotes/origin/git-annex"
SETTINGS_LOGS = (
    b"uuid.log",
    b"trust.log",
    b"group.log",
    b"preferred-content.log",
    b"required-content.log",
    b"group-preferred-content.log",
    b"numcopies.log",
    b"mincopies.log",
    b"remote.log",
    b"config.log",
    b"difference.log",
)

_VERDICTS = 64      # commits of other branches whose tunings are remembered

SettingsVersion = tuple[object, ...]


class BranchUpdate(NamedTuple):
    """What became of the branch: tips before and after (equal when nothing changed).

    `changed` are the paths given by the caller that got new content; `refused` are siblings that were not merged, with
    the reason.
    """

    old: Oid | None
    new: Oid | None
    changed: tuple[bytes, ...] = ()
    refused: tuple[Refused, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether there is a new commit."""
        return self.old != self.new


class AnnexBranch:
    """The branch of one repository with its journal. Owned by one thread; other processes may change it meanwhile.

    Reads look at the journal first and then at the ref, each time.
    """

    def __init__(
        self,
        repo: GitRepository,
        layout: RepoLayout,
        config: AnnexConfig,
        objects: GitObjects,
        refs: Refs,
        journal: Journal,
        identity: Callable[[], Identity] | None = None,
    ) -> None:
        self._repo = repo
        self._layout = layout
        self._config = config
        self._objects = objects
        self._refs = refs
        self._journal = journal
        self._writer = BranchWriter(
            repo, layout, config, objects, refs, journal, identity or partial(identity_of, repo)
        )
        self._trees = self._writer.trees
        self._root: tuple[Oid | None, Root] = (None, None)
        self._verdicts: dict[Oid, str] = {}
        self.fitting: dict[bytes, tuple[int, ...]] = {}     # by path: repositories that are known to be tuned as we are
        self.differences = differences.of_config(config)
        self.levels = self.differences.branch_levels()

    def tip(self) -> Oid | None:
        """The commit that the branch is at; None while there is no branch."""
        return self._refs.read(BRANCH)

    def read(self, path: bytes) -> bytes | None:
        """A file of the branch, journal and private journal included; None when there is none."""
        data = self._journal.read(path)
        if data is None:
            # Only now the ref: a journal file goes after the commit that takes it in.
            data = self._trees.read(self._current_root(), path)
        private = self._journal.read_private(path) if self._config.private_uuids else None
        return data if private is None else (data or b"") + private

    def read_many(self, paths: Sequence[bytes]) -> dict[bytes, bytes]:
        """Those of the files that exist; much faster than one by one."""
        waiting = set(self._journal.pending())
        found = {}
        for path in waiting.intersection(paths) if waiting else ():
            data = self._journal.read(path)
            if data is not None:
                found[path] = data
        elsewhere = [path for path in paths if path not in found] if found else paths
        found.update(self._trees.read_many(self._current_root(), elsewhere))
        if self._config.private_uuids and self._journal.has_private():
            for path in paths:
                private = self._journal.read_private(path)
                if private is not None:
                    found[path] = found.get(path, b"") + private
        return found

    def paths(self) -> Iterator[bytes]:
        """Every file of the branch, those included that are only in the journal; in no order, each once."""
        waiting = set(self._journal.pending())
        yield from waiting
        for path in self._trees.paths(self._current_root()):
            if path not in waiting:
                yield path

    def change(self, path: bytes, fn: Change, *, about: UUID | None = None) -> bool:
        """Change one file through the journal; whether there was anything to write.

        `about` is the repository that the change is about: what concerns a private one is never committed.
        Raises LockTimeout, OSError.
        """
        with self._journal.locked() as witness:
            if about is not None and self.is_private(about):
                data = fn(self._journal.read_private(path))
                if data is not None:
                    self._journal.write_private(witness, path, data)
                return data is not None
            old = self._journal.read(path)
            if old is None:
                old = self._trees.read(self._current_root(), path)
            data = fn(old)
            if data is None or data == old:
                return False
            self._journal.write(witness, path, data)
            return True

    def change_many(self, changes: Mapping[bytes, Change], message: bytes | None = None) -> BranchUpdate:
        """Change many files in one commit, which takes in the journal as well. The default message is configured.

        The functions may be called again when the branch moved meanwhile. With annex.alwayscommit=false the changes
        go to the journal.
        Raises LockTimeout, RefMoved, OSError, GitError; then nothing changed.
        """
        if not self._config.always_commit:
            return self._journal_many(changes)
        changed: list[bytes] = []

        def edit(base: Base) -> Root:
            tree, changed[:] = self._trees.changed_by(base.tree, changes, base.staged)
            return tree

        with self._journal.locked() as witness:
            before, after = self._writer.commit(witness, edit, message)
        return self._updated(BranchUpdate(before, after, tuple(changed)))

    def journal_is_empty(self) -> bool:
        """Whether nothing waits to be committed just now."""
        return self._journal.is_empty()

    def commit(self, message: bytes | None = None) -> BranchUpdate:
        """Take the journal into the branch. Costs a directory listing when there is nothing in it."""
        if self._journal.is_empty():
            tip = self.tip()
            return BranchUpdate(tip, tip)
        with self._journal.locked() as witness:
            old, new = self._writer.commit(witness, self._with_journal, message)
        return self._updated(BranchUpdate(old, new))

    def merge_siblings(self) -> BranchUpdate:
        """Merge the git-annex branches that came from elsewhere; those that cannot be are told in `refused`.

        Does nothing when annex.merge-annex-branches is false.
        """
        if not self._config.merge_annex_branches:
            tip = self.tip()
            return BranchUpdate(tip, tip)
        notes = MergedRefs(self._layout)
        if not notes.candidates(self._refs):
            tip = self.tip()
            return BranchUpdate(tip, tip)
        with self._journal.locked() as witness:
            update = self._merge(witness, notes)
        return self._updated(update)

    def changed_between(self, old: Oid | None, new: Oid | None) -> Iterator[bytes]:
        """The files that differ between two commits of the branch."""
        return self._trees.changed(self._trees.root(old), self._trees.root(new))

    def root_of(self, commit: Oid | None) -> Root:
        """The tree of a commit of the branch. Raises RepositoryError when it cannot be read."""
        return self._trees.root(commit)

    def file_in(self, root: Root, path: bytes) -> Oid | None:
        """The blob at `path` in such a tree."""
        return self._trees.file(root, path)

    def ensure_exists(self) -> None:
        """Make the branch when there is none: from origin's, or as an empty commit.

        Source: git-annex, creation of the git-annex branch.
        """
        if self.tip() is not None:
            return
        with self._journal.locked() as witness:
            if self.tip() is not None:
                return
            origin = self._refs.read(ORIGIN)
            if origin is not None:
                self._writer.fast_forward(witness, None, origin)
            else:
                self._writer.create(witness)

    def check_differences(self) -> None:
        """Raise DifferencesRefused when the branch says that this annex is tuned otherwise than git config does."""
        differences.check_own(self._config, self.read(differences.DIFFERENCE_LOG))

    def why_apart(self, place: bytes) -> str:
        """Why nothing from the refs below `place` (b"refs/remotes/origin/") may be merged: tuned otherwise. Else "".

        Both of the git-annex branches that may be there are looked at; one that cannot be read says nothing.
        """
        for ref in (place + b"git-annex", place + b"synced/git-annex"):
            oid = self._refs.read(ref)
            if oid is not None and ref != BRANCH and (reason := self.why_commit_apart(oid, display(ref))):
                return reason
        return ""

    def why_commit_apart(self, oid: Oid, where: str, trees: BranchTrees | None = None) -> str:
        """The same for one commit of a git-annex branch; `trees` can read it when our own objects do not hold it."""
        known = self._verdicts.get(oid)
        if known is not None:
            return known
        try:
            reader = trees or self._trees
            root = reader.root(oid)
            log, uuid_log = (reader.read(root, path) for path in (differences.DIFFERENCE_LOG, b"uuid.log"))
        except AnnexError:
            return ""
        if self.differences.fits(difference.parse(log)):
            verdict = ""
        else:
            descriptions = uuid_based.values(uuid_log)
            verdict = differences.why_apart(self.differences, self._own_name(), log, descriptions, where)
        if len(self._verdicts) >= _VERDICTS:
            self._verdicts.clear()
        self._verdicts[oid] = verdict
        return verdict

    def _own_name(self) -> str:
        uuid = self._config.uuid
        if uuid is None:
            return display(self._repo.top)
        described = uuid_based.values(self.read(b"uuid.log")).get(uuid)
        return display(uuid) + (f" [{display(described)}]" if described else "")

    def settings_version(self) -> SettingsVersion:
        """A value that changes when any of SETTINGS_LOGS does; cheap."""
        journalled = tuple(self._journal.stamp(path) for path in SETTINGS_LOGS)
        root = self._current_root()
        return (*(self._trees.file(root, path) for path in SETTINGS_LOGS), *journalled)

    def _journal_many(self, changes: Mapping[bytes, Change]) -> BranchUpdate:
        changed = tuple(path for path, fn in changes.items() if self.change(path, fn))
        tip = self.tip()
        return BranchUpdate(tip, tip, changed)

    def is_private(self, uuid: UUID) -> bool:
        """Whether nothing about this repository goes into the branch."""
        return uuid in self._config.private_uuids

    def _merge(self, witness: JournalLocked, notes: MergedRefs) -> BranchUpdate:
        for _ in range(10):
            tip = self.tip()
            root = self._trees.root(tip)
            siblings = notes.candidates(self._refs)
            forgotten = self._own_transitions(root)
            plan = mergeable_refs(
                self._objects, self._trees, tip, siblings, self._why_sibling_apart, forgotten
            )
            if not plan.merge:
                notes.add(plan.contained)
                return BranchUpdate(tip, tip, refused=plan.refused)
            if plan.transitions is not None:
                update = self._merge_transitioned(witness, notes, plan, plan.transitions)
                return update._replace(old=tip)
            if plan.fast_forward is not None and self._writer.can_fast_forward(plan.fast_forward):
                try:
                    self._writer.fast_forward(witness, tip, plan.fast_forward)
                except RefMoved:
                    continue
                notes.add(plan.contained + plan.merge)
                return BranchUpdate(tip, plan.fast_forward, refused=plan.refused)

            parents = tuple(dict.fromkeys(sibling.oid for sibling in plan.merge))
            edit = partial(self._with_siblings, parents)
            old, new = self._writer.commit(witness, edit, merge_message(plan.merge), parents)
            notes.add(plan.contained + plan.merge)
            return BranchUpdate(old, new, refused=plan.refused)
        raise RefMoved("the git-annex branch was moved by others again and again", hint="try again")

    def _own_transitions(self, root: Root) -> bytes | None:
        waiting = self._journal.read(TRANSITIONS_LOG)
        return self._trees.read(root, TRANSITIONS_LOG) if waiting is None else waiting

    def _merge_transitioned(
        self, witness: JournalLocked, notes: MergedRefs, plan: MergePlan, forgotten: Transitions
    ) -> BranchUpdate:
        """Take over what the siblings know, but forget in it what anybody has forgotten, and where it came from."""
        parents = tuple(dict.fromkeys(sibling.oid for sibling in forgotten.transitioned))
        everybody = tuple(dict.fromkeys(sibling.oid for sibling in plan.merge))

        def edit(base: Base) -> Root:
            return transitions.perform(self._trees, self._with_siblings(everybody, base), forgotten.names, self.levels)

        old, new = self._writer.commit(witness, edit, forgotten.message, parents, forgets=forgotten.is_new_here)
        ignored = {sibling.oid for sibling in forgotten.untransitioned}
        if old is not None and forgotten.is_new_here:
            ignored.add(old)
        notes.ignore(ignored)
        notes.add(plan.contained + plan.merge)
        return BranchUpdate(old, self._regraft(witness, new), refused=plan.refused)

    def forget(self, names: Sequence[bytes], now: VectorClock) -> BranchUpdate:
        """Perform transitions of these kinds (FORGET_GIT_HISTORY and perhaps more): the branch begins anew.

        What came from elsewhere is merged first. Raises RefusedError when transitions.log names what we do not know,
        LockTimeout, RefMoved, OSError, GitError.
        """
        notes = MergedRefs(self._layout)
        with self._journal.locked() as witness:
            read_strictly(self._own_transitions(self._trees.root(self.tip())), "our own")
            merged = BranchUpdate(self.tip(), self.tip())
            if self._config.merge_annex_branches:
                merged = self._merge(witness, notes)

            def edit(base: Base) -> Root:
                tree = self._with_journal(base)
                done = read_strictly(self._trees.read(tree, TRANSITIONS_LOG), "our own")
                log = transitions_log.format(done | {Transition(name, now) for name in names})
                tree = self._trees.edited(tree, {TRANSITIONS_LOG: log})
                return transitions.perform(self._trees, tree, names, self.levels)

            text = transitions.message(b"new branch for transition", names)
            old, new = self._writer.commit(witness, edit, text, forgets=True)
            if old is not None:
                notes.ignore({old})
            update = BranchUpdate(merged.old, self._regraft(witness, new), refused=merged.refused)
        return self._updated(update)

    def _regraft(self, witness: JournalLocked, tip: Oid | None) -> Oid | None:
        """Exported trees hung on the history that was forgotten; hang them on the new one."""
        if tip is None:
            return None
        for name in transitions.exported_trees(self._trees.read(self._trees.root(tip), b"export.log")):
            with suppress(ValueError):
                tree = Oid(bytes.fromhex(name))
                found = self._objects.read(tree)
                if found is not None and found.kind == TREE:
                    tip = self._writer.graft(witness, tip, tree)
        return tip

    def _why_sibling_apart(self, sibling: Sibling) -> str:
        return self.why_commit_apart(sibling.oid, display(sibling.ref))

    def _with_journal(self, base: Base) -> Root:
        return self._trees.edited(base.tree, base.staged)

    def _with_siblings(self, siblings: Sequence[Oid], base: Base) -> Root:
        tree = self._with_journal(base)
        for sibling in siblings:
            tree = self._trees.merged(tree, self._trees.root(sibling))
        return tree

    def _current_root(self) -> Root:
        tip = self._refs.read(BRANCH)
        if tip != self._root[0] or tip is None:
            self._root = (tip, self._trees.root(tip))
        return self._root[1]

    def _updated(self, update: BranchUpdate) -> BranchUpdate:
        if update.moved:
            hooks.run_post_update(self._repo, self._layout)
        return update
