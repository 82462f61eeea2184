"""New commits of the git-annex branch, made while the journal is locked.

Two things besides the ref can hold what was written: the journal, and the index file that git-annex builds its commits
in. Both are taken into each commit. A ref that moves meanwhile (a push or fetch takes no lock of ours) means doing it
again on top of the new commit, so that no line is lost whoever wins.
Source: git-annex, commits of the git-annex branch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from annexd.annex.branch_trees import BranchTrees, Root
from annexd.annex.config import AnnexConfig
from annexd.annex.journal import Journal, JournalLocked
from annexd.annex.layout import RepoLayout
from annexd.annex.transitions import TRANSITIONS_LOG
from annexd.errors import AnnexError, BusyError, GitError, ProcessError, RefMoved
from annexd.formats.logs import transitions
from annexd.formats.union_merge import union_merge
from annexd.git.commit import Identity, build_commit, commit_by_git
from annexd.git.history import is_ancestor
from annexd.git.object_store import GitObjects
from annexd.git.objects import COMMIT, EMPTY_TREE, Oid
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository
from annexd.system.files import make_dirs, read_file, write_atomically
from annexd.system.processes import run
from annexd.threads.faults import reach

BRANCH = b"refs/heads/git-annex"
DEFAULT_MESSAGE = b"update"
EXPORT_TREE = b"export.tree"

_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Base:
    """What a new commit is built on."""

    tip: Oid | None
    root: Root
    """The tree of `tip`."""
    tree: Root
    """The same with what the branch had lost."""
    staged: Mapping[bytes, bytes]
    """New contents from the journal."""


class BranchWriter:
    """Makes commits of the git-annex branch. Owned by one thread."""

    def __init__(
        self,
        repo: GitRepository,
        layout: RepoLayout,
        config: AnnexConfig,
        objects: GitObjects,
        refs: Refs,
        journal: Journal,
        identity: Callable[[], Identity],
    ) -> None:
        self.trees = BranchTrees(objects)
        self._repo = repo
        self._layout = layout
        self._config = config
        self._objects = objects
        self._refs = refs
        self._journal = journal
        self._identity = identity
        self._record = layout.annexd_dir + b"/branch-tip"

    def commit(
        self,
        witness: JournalLocked,
        edit: Callable[[Base], Root],
        message: bytes | None = None,
        parents: Sequence[Oid] = (),
        *,
        forgets: bool = False,
    ) -> tuple[Oid | None, Oid | None]:
        """Move the branch to a commit of the tree that `edit` makes of the base, `staged` included; (old tip, new tip).

        `edit` is called again when the ref moved meanwhile. When the tree is that of the tip already there is no new
        commit, unless `parents`, that are to be noted as merged, are given. Nothing stays in the journal.
        With `forgets` the tip is not among the parents: its history is forgotten.
        Raises RefMoved when others move the ref faster than we can build, OSError, GitError.
        """
        for _ in range(_ATTEMPTS):
            staged = self._journal.staged(witness)
            base = self._base(staged)
            tree = edit(base)
            new = base.tip
            if tree != base.root or parents or base.tip is None or forgets:
                new = self._write_commit(tree, None if forgets else base.tip, parents, message)
                reach("branch-before-ref")
                try:
                    self._refs.update(BRANCH, new, base.tip)
                except BusyError:  # moved by others, or locked by them for longer than git waits
                    continue
            reach("branch-after-ref")
            self._settle(witness, staged, new)
            return base.tip, new
        raise RefMoved("the git-annex branch was moved by others again and again", hint="try again")

    def create(self, witness: JournalLocked) -> None:
        """Start the branch with an empty commit. Raises RefMoved when somebody else just did."""
        new = self._write_commit(None, None, (), b"branch created")
        self._refs.update(BRANCH, new, None)
        self._settle(witness, (), new)

    def graft(self, witness: JournalLocked, tip: Oid, tree: Oid) -> Oid:
        """Two commits, of which the second is like `tip`, and the first names `tree` so that git keeps it; the new tip.

        Raises RefMoved. Source: git-annex, exported trees in the git-annex branch.
        """
        root = self.trees.root(tip)
        grafted = self._write_commit(self.trees.grafted(root, EXPORT_TREE, tree), tip, (), b"graft")
        new = self._write_commit(root, grafted, (), b"graft cleanup")
        self._refs.update(BRANCH, new, tip)
        self._settle(witness, (), new)
        return new

    def can_fast_forward(self, new: Oid) -> bool:
        """Whether `new` holds everything that was ever committed here, and nothing waits in the journal."""
        held = all(self._contains(new, known) for known in self._recorded_tips())
        return held and self._journal.is_empty() and not self._unknown_index()

    def fast_forward(self, witness: JournalLocked, old: Oid | None, new: Oid) -> None:
        """Move the branch to a descendant. Raises RefMoved."""
        self._refs.update(BRANCH, new, old)
        self._settle(witness, (), new)

    def _base(self, staged: dict[bytes, bytes]) -> Base:
        tip = self._refs.read(BRANCH)
        root = self.trees.root(tip)
        recorded = self._recorded_tips()
        lost = [self.trees.root(known) for known in recorded if not self._contains(tip, known)]
        lost += self._unknown_index()
        tree = root
        for other in lost:
            if tip is None or self._same_transitions(other, root):
                tree = self.trees.merged(tree, other)
        if lost or tip not in recorded:
            # Journal files replace what they were based on, but that was an older state of the branch.
            staged = {path: union_merge(data, self.trees.read(tree, path)) for path, data in staged.items()}
        return Base(tip, root, tree, staged)

    def _contains(self, tip: Oid | None, commit: Oid) -> bool:
        """Whether all that `commit` held went into `tip`; if not, the branch was moved back, or replaced."""
        if commit == tip:
            return True
        if self._objects.read(commit) is None:
            return True  # gone, so there is nothing to take from it
        return tip is not None and is_ancestor(self._objects, commit, tip)

    def _unknown_index(self) -> list[Root]:
        """The tree of an index of git-annex's of which nobody knows what it was brought up to."""
        index = self._layout.branch_index
        if not os.path.exists(index) or self._index_tip() is not None:
            return []
        try:
            out = self._repo.with_index(index).run(b"write-tree")
        except GitError:
            return []  # it names objects that were never written, so git-annex could not commit it either
        return [Oid(bytes.fromhex(out.decode("ascii").strip()))]

    def _same_transitions(self, one: Root, other: Root) -> bool:
        first, second = (self.trees.read(root, TRANSITIONS_LOG) for root in (one, other))
        return first == second or transitions.parse(first) == transitions.parse(second)

    def _write_commit(self, root: Root, tip: Oid | None, parents: Sequence[Oid], message: bytes | None) -> Oid:
        tree = self.trees.oid(root)
        all_parents = [parent for parent in (tip, *parents) if parent is not None]
        text = message if message is not None else self._message()
        if self._config.signs_commits:
            self._objects.flush()
            return commit_by_git(self._repo, tree, all_parents, text, sign=True)
        author, committer = self._identity().signatures()
        data = build_commit(tree, all_parents, author, committer, text)
        new = self._objects.add(COMMIT, data)
        self._objects.flush()
        return new

    def _message(self) -> bytes:
        """Source: git-annex, annex.commitmessage and annex.commitmessage-command."""
        command = self._config.commit_message_command
        if command:
            with suppress(ProcessError):  # its failure must not keep logs from being committed
                text = run(["sh", "-c", command], cwd=self._repo.top, timeout=10).rstrip(b"\n")
                if text:
                    return text
        given = self._config.commit_message
        return os.fsencode(given) if given else DEFAULT_MESSAGE

    def _settle(self, witness: JournalLocked, staged: Iterable[bytes], tip: Oid | None) -> None:
        if tip is not None and tip != _read_oid(self._record):
            self._remember(tip)
        if tip != self._index_tip():
            self._drop_index()
        self._journal.remove(witness, staged)

    def _recorded_tips(self) -> set[Oid]:
        """Where annexd, and git-annex, last left the branch."""
        return {known for known in (_read_oid(self._record), self._index_tip()) if known is not None}

    def _remember(self, tip: Oid) -> None:
        data = tip.hex().encode() + b"\n"
        try:
            write_atomically(self._record, data)
        except FileNotFoundError:
            make_dirs(self._layout.annexd_dir, self._layout.annex_dir)
            write_atomically(self._record, data)

    def _index_tip(self) -> Oid | None:
        """The commit that git-annex's index was last brought up to; that file is no lock, despite its name."""
        return _read_oid(self._layout.lock(b"index.lck"))

    def _drop_index(self) -> None:
        """Let git-annex make its index anew: a stale one would bring old lines back, and updating it costs more.

        The note of what it was brought up to goes first. A git-annex that runs now, and found an index when it
        started, will fill an empty one; without the note it merges the branch into that, with it it would not.
        """
        for path in (self._layout.lock(b"index.lck"), self._layout.branch_index):
            with suppress(FileNotFoundError):
                os.unlink(path)


def _read_oid(path: bytes) -> Oid | None:
    try:
        text = read_file(path, limit=4096).split(b"\n", 1)[0]
        raw = bytes.fromhex(text.decode("ascii"))
    except (OSError, ValueError, AnnexError):
        return None
    return Oid(raw) if len(raw) == len(EMPTY_TREE) else None
