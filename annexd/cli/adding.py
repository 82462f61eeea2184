"""What add, assist and sync share: finding files to add, and adding them."""

from __future__ import annotations

import os
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack

from annexd.annex.adding import Added, Adder, Force, add_to_git, changed_below, removal, untracked_below
from annexd.annex.commit import stage_and_commit
from annexd.annex.ingest import AddAs
from annexd.annex.state import AnnexState
from annexd.cli.invocation import Interrupted, Invocation
from annexd.cli.job_queue import Shape
from annexd.cli.places import Places
from annexd.cli.reporters.contract import Action
from annexd.cli.runner import Perform, Task, one_by_one, run_things
from annexd.cli.seek import batch_words, places_of
from annexd.cli.staging import INDEX_SECONDS, Staging
from annexd.errors import AnnexError
from annexd.formats.key import Key
from annexd.formats.paths import display, from_text
from annexd.threads.deadline import Deadline

Candidate = tuple[bytes, str]
"""A path from the top, and the word that led to it."""


def add_files(call: Invocation, options: Namespace) -> int:
    """The `add` command."""
    places = places_of(call.annex())
    run = _Adding(call, places, _force(options), backend=from_text(options.backend) if options.backend else None)
    act: Perform[Candidate] = run.pretend if options.dry_run else run.add
    try:
        if options.batch:
            words = batch_words(options)
            one_by_one(call, ((places.repo_path(word), word) for word in words), Task(act), is_batch=True)
        else:
            run_things(call, _candidates(call, places, options), Task(act, act_on_many=_by_one_job), run.shape())
    finally:
        run.settle()
    return call.conclude_changes(staged=run.staging.any)


def add_everything(call: Invocation) -> None:
    """Add all that is new or changed, as `assist` does."""
    options = Namespace(words=[], update=False, check_gitignore=True)
    places = Places(places_of(call.annex()).top, places_of(call.annex()).top)
    run = _Adding(call, places, Force.NO, command="add")
    try:
        task = Task(run.add, act_on_many=_by_one_job)
        run_things(call, _candidates(call, places, options), task, run.shape())
    finally:
        run.settle()


def commit_tracked(call: Invocation, message: bytes) -> bool:
    """Stage changes and removals of files that git knows, and commit; whether there was anything to commit."""
    annex = call.annex()
    adder = Adder(annex, when_unset=AddAs.UNLOCKED)
    updates = []
    to_git = []
    try:
        changes = list(changed_below(annex, ()))
        lost = _lost_with_a_disk(call, [change.path for change in changes if change.status == "D"])
        for change in changes:
            if change.status == "D":
                if change.path not in lost:
                    updates.append(removal(change.path))
                continue
            added = adder.add(change.path)
            if added is not None and added.update is not None:
                updates.append(added.update)
            elif added is not None:
                to_git.append(change.path)
    finally:
        adder.close()
    add_to_git(annex, to_git)
    return stage_and_commit(annex, updates, message, Deadline(INDEX_SECONDS)) is not None


def _lost_with_a_disk(call: Invocation, paths: Sequence[bytes]) -> frozenset[bytes]:
    """Those of the absent files that lay on a disk mounted in the work tree, which is not there now."""
    from annexd.assistant.root_guard import guard_of

    layout = call.annex().layout
    guard = guard_of(layout)
    missing = guard.missing_mounts()
    top = layout.work_tree or b""
    lost = frozenset(path for path in paths if not guard.is_deleted(top + b"/" + path, missing))
    if lost:
        points = ", ".join(display(point) for point in missing)
        count = f"{len(lost)} of the missing files"
        call.reporter.error(f"not taken for deleted, as nothing is mounted at {points}: {count}")
    return lost


class _Adding:
    """One run over files to add. Its methods are called from all threads of -J, each with a state of its own."""

    def __init__(
        self, call: Invocation, places: Places, force: Force, *, backend: bytes | None = None, command: str = ""
    ) -> None:
        self.staging = Staging()
        self._call = call
        self._command = command
        self._places = places
        self._force = force
        self._backend = backend
        self._adders: dict[int, Adder] = {}
        self._to_git: list[bytes] = []
        self._lock = threading.Lock()       # leaf: guards the two collections

    def shape(self) -> Shape[Candidate]:
        """For the queue: no path twice at a time, and the sizes of files."""
        return Shape(key_of=lambda candidate: candidate[0], size_of=self._size)

    def add(self, annex: AnnexState, candidate: Candidate) -> bool:
        """Add one file, or say what is wrong with it; False when it is left alone."""
        path, _ = candidate
        with ExitStack() as ended:
            begun: list[Action] = []

            def begin() -> Action:
                if not begun:
                    begun.append(ended.enter_context(self._acting(candidate)))
                return begun[0]

            def on_start() -> Callable[[int], None]:
                action, total = begin(), self._size(candidate)
                return lambda done: self._progress(action, done, total)

            try:
                added = self._adder(annex).add(path, on_start)
            except (AnnexError, OSError):
                begin()
                raise
            if added is None:
                return False
            self._finish(annex, path, added, begin())
        return True

    def pretend(self, _annex: AnnexState, candidate: Candidate) -> bool:
        """Only say that the file would be added."""
        with self._acting(candidate):
            return True

    def settle(self) -> None:
        """Write the index."""
        annex = self._call.annex()
        self.staging.settle(annex)
        add_to_git(annex, self._to_git)
        self._to_git.clear()
        for adder in self._adders.values():
            adder.close()
        self._adders.clear()

    def _acting(self, candidate: Candidate) -> AbstractContextManager[Action]:
        path, word = candidate
        return self._call.acting(command=self._command, file=self._places.shown(path), given=[word])

    def _finish(self, annex: AnnexState, path: bytes, added: Added, action: Action) -> None:
        if added.key is not None:
            action.field("key", display(bytes(added.key)))
        if added.reason:
            kind = "dotfile" if added.reason.startswith("dotfile") else "non-large file"
            action.note(f"{kind}; adding content to git repository")
        if added.update is not None:
            self.staging.add(annex, added.update)
        else:
            with self._lock:
                self._to_git.append(path)
            self.staging.any = True

    def _progress(self, action: Action, done: int, total: int | None) -> None:
        action.progress(done, total)
        if self._call.is_interrupted:
            raise Interrupted

    def _adder(self, annex: AnnexState) -> Adder:
        with self._lock:
            found = self._adders.get(id(annex))
            if found is None:
                found = Adder(annex, backend=self._backend, force=self._force, record=self._record)
                self._adders[id(annex)] = found
            return found

    def _record(self, key: Key) -> None:
        self._call.news.there([key], self._call.annex().uuid)

    def _size(self, candidate: Candidate) -> int | None:
        try:
            return os.lstat(self._places.absolute(candidate[0])).st_size
        except OSError:
            return None


def _by_one_job(_annex: AnnexState, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Small files cost the interpreter's time, of which two jobs would get no more than one."""
    return candidates


def _force(options: Namespace) -> Force:
    if options.force_large:
        return Force.ANNEX
    return Force.GIT if options.force_small else Force.NO


def _candidates(call: Invocation, places: Places, options: Namespace) -> Iterator[Candidate]:
    annex = call.annex()
    words = _existing(call, places, options.words)
    if options.words and not words:
        return
    paths = [path for path, _ in words] or ([places.here()] if places.here() else [])
    found = [] if options.update else untracked_below(annex.repo, paths, ignored_too=not options.check_gitignore)
    found += [change.path for change in changed_below(annex, paths) if change.status != "D"]
    if not words:
        yield from ((path, os.fsdecode(places.shown(path))) for path in found)
        return
    by_word: dict[str, list[bytes]] = {word: [] for _, word in words}
    for path in found:
        if (word := _word_for(path, words)) is not None:
            by_word[word].append(path)
    for word, below in by_word.items():
        yield from ((path, word) for path in below)


def _existing(call: Invocation, places: Places, words: Sequence[str]) -> list[tuple[bytes, str]]:
    """The words that name something; the others are reported."""
    found = []
    for word in words:
        path = places.repo_path(word)
        if os.path.lexists(places.absolute(path)):
            found.append((path, word))
            continue
        action = call.reporter.begin_silent("add", file=from_text(word), given=[word])
        action.field("message-id", "FileNotFound")
        action.error(f"{word} not found")
        action.fail()
    return found


def _word_for(path: bytes, words: Sequence[tuple[bytes, str]]) -> str | None:
    for start, word in words:
        if start == b"" or path == start or path.startswith(start + b"/"):
            return word
    return None
