"""Questions about commits: who descends from whom, what is new, and what a merge gives."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

from annexd.errors import GitError, RepositoryError
from annexd.git.commit import Commit, parse_commit
from annexd.git.object_store import GitObjects
from annexd.git.objects import COMMIT, TAG, Oid
from annexd.git.repository import GitRepository

_WALK_LIMIT = 400


class Stage(NamedTuple):
    """One side of a conflict: 1 base, 2 ours, 3 theirs."""

    stage: int
    mode: int
    oid: Oid


class Conflict(NamedTuple):
    """A path that git could not merge, with the sides that have it. The path may be a name git made up ("f~HEAD")."""

    path: bytes
    stages: tuple[Stage, ...]


class Note(NamedTuple):
    """Something that git says of a merge: its kind ("CONFLICT (contents)"), the paths it is about, and words."""

    kind: bytes
    paths: tuple[bytes, ...]
    text: bytes


class MergeOutcome(NamedTuple):
    """A merge's tree, which holds conflict markers at the paths of `conflicts`; and what git says of it."""

    tree: Oid
    conflicts: tuple[Conflict, ...]
    notes: tuple[Note, ...] = ()


def read_commit(objects: GitObjects, oid: Oid) -> Commit | None:
    """A commit, or None when it is missing (as below the bottom of a shallow clone). Tags are followed.

    Raises RepositoryError when the object is something else.
    """
    found = objects.read(oid)
    for _ in range(10):
        if found is None or found.kind != TAG:
            break
        found = objects.read(Oid(bytes.fromhex(found.data[7:47].decode("ascii"))))
    if found is None:
        return None
    if found.kind != COMMIT:
        raise RepositoryError(f"{oid.hex()} is a {found.kind.decode()}, not a commit")
    return parse_commit(found.data)


def is_ancestor(objects: GitObjects, ancestor: Oid, descendant: Oid) -> bool:
    """Whether `descendant` is `ancestor` or comes after it.

    Looks at some hundred commits in memory; asks git, after flushing `objects`, when that does not decide.
    Raises GitError.
    """
    if ancestor == descendant:
        return True
    seen = {descendant}
    queue: list[tuple[int, Oid]] = [(0, descendant)]
    while queue and len(seen) < _WALK_LIMIT:
        _, oid = heapq.heappop(queue)
        commit = read_commit(objects, oid)
        for parent in commit.parents if commit else ():
            if parent == ancestor:
                return True
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(queue, (-_date(objects, parent), parent))
    if not queue:
        return False
    objects.flush()
    args = (b"merge-base", b"--is-ancestor", ancestor.hex().encode(), descendant.hex().encode())
    done = objects.repo.complete(*args)
    if done.returncode not in (0, 1):
        raise GitError(objects.repo.argv(*args), done.returncode, done.stderr)
    return done.returncode == 0


def merge_base(objects: GitObjects, a: Oid, b: Oid) -> Oid | None:
    """The best common ancestor, or None for unrelated histories. Flushes `objects`. Raises GitError."""
    if a == b:
        return a
    if is_ancestor(objects, a, b):
        return a
    if is_ancestor(objects, b, a):
        return b
    objects.flush()
    args = (b"merge-base", a.hex().encode(), b.hex().encode())
    done = objects.repo.complete(*args)
    if done.returncode not in (0, 1):
        raise GitError(objects.repo.argv(*args), done.returncode, done.stderr)
    return Oid(bytes.fromhex(done.stdout.decode("ascii"))) if done.stdout else None


def commits_between(objects: GitObjects, new: Oid, known: Iterable[Oid], limit: int) -> list[tuple[Oid, Commit]] | None:
    """Commits reachable from `new` but not from `known`, newest first; None when more than `limit` had to be read.

    Where clocks ran backwards, some that are reachable from `known` may be among them.
    """
    old = set(known)
    queue = [(-_date(objects, oid), oid) for oid in {*old, new}]
    heapq.heapify(queue)
    seen = {*old, new}
    undecided = {new} - old  # queued, and not known to be old
    fresh: dict[Oid, Commit] = {}
    for _ in range(limit):
        if not undecided:
            return [(oid, commit) for oid, commit in fresh.items() if oid not in old]
        oid = heapq.heappop(queue)[1]
        undecided.discard(oid)
        commit = read_commit(objects, oid)
        if commit is None:
            continue
        if oid not in old:
            fresh[oid] = commit
        for parent in commit.parents:
            if oid in old:
                old.add(parent)
                undecided.discard(parent)
            if parent not in seen:
                seen.add(parent)
                heapq.heappush(queue, (-_date(objects, parent), parent))
                if parent not in old:
                    undecided.add(parent)
    return None


def merge_trees(repo: GitRepository, ours: Oid, theirs: Oid, *, allow_unrelated: bool = False) -> MergeOutcome:
    """Merge two commits in the object store alone: no index or work tree is touched.

    Both commits must be flushed. Raises GitError, also for unrelated histories unless they are allowed.
    """
    args = [b"merge-tree", b"--write-tree", b"-z", b"--messages"]
    if allow_unrelated:
        args.append(b"--allow-unrelated-histories")
    args += [ours.hex().encode(), theirs.hex().encode()]
    done = repo.complete(b"-c", b"merge.directoryRenames=false", *args)
    if done.returncode not in (0, 1) or not done.stdout:
        raise GitError(repo.argv(*args), done.returncode, done.stderr)
    return parse_merge_output(done.stdout)


def parse_merge_output(output: bytes) -> MergeOutcome:
    """What `git merge-tree --write-tree -z --messages` prints. Source: its documentation, "OUTPUT"."""
    fields = iter(output.split(b"\0"))
    tree = Oid(bytes.fromhex(next(fields).decode("ascii")))
    stages: dict[bytes, list[Stage]] = {}
    for line in fields:
        if not line:
            break
        info, _, path = line.partition(b"\t")
        mode, name, stage = info.split(b" ")
        stages.setdefault(path, []).append(Stage(int(stage), int(mode, 8), Oid(bytes.fromhex(name.decode("ascii")))))
    notes = []
    for count in fields:
        if not count.isdigit():
            break
        paths = tuple(next(fields) for _ in range(int(count)))
        notes.append(Note(next(fields), paths, next(fields).rstrip(b"\n")))
    return MergeOutcome(tree, tuple(Conflict(path, tuple(found)) for path, found in stages.items()), tuple(notes))


def _date(objects: GitObjects, oid: Oid) -> int:
    commit = read_commit(objects, oid)
    return commit.committer.time if commit else 0
