"""What add, assist and sync share: finding files to add, and adding them."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence

from annexd.annex.adding import Added, Adder, Force, add_to_git, changed_below, removal, untracked_below
from annexd.annex.commit import stage_and_commit
from annexd.annex.ingest import AddAs
from annexd.cli.invocation import Invocation
from annexd.cli.places import Places
from annexd.cli.seek import batch_words, places_of
from annexd.cli.staging import INDEX_SECONDS, Staging
from annexd.errors import AnnexError
from annexd.formats.paths import from_text
from annexd.threads.deadline import Deadline

Candidate = tuple[bytes, str]
"""A path from the top, and the word that led to it."""


def add_files(call: Invocation, options: Namespace) -> int:
    """The `add` command."""
    annex = call.annex()
    places = places_of(annex)
    run = _Adding(call, places, _force(options), backend=from_text(options.backend) if options.backend else None)
    try:
        if options.batch:
            for word in batch_words(options):
                if not run.add_one((places.repo_path(word), word), dry=options.dry_run):
                    call.reporter.blank()
        else:
            for candidate in _candidates(call, places, options):
                run.add_one(candidate, dry=options.dry_run)
    finally:
        run.settle()
    return call.conclude_changes(staged=run.staging.any)


def add_everything(call: Invocation) -> None:
    """Add all that is new or changed, as `assist` does."""
    options = Namespace(words=[], update=False, check_gitignore=True)
    places = Places(places_of(call.annex()).top, places_of(call.annex()).top)
    run = _Adding(call, places, Force.NO)
    try:
        for candidate in _candidates(call, places, options):
            run.add_one(candidate, command="add")
    finally:
        run.settle()


def commit_tracked(call: Invocation, message: bytes) -> bool:
    """Stage changes and removals of files that git knows, and commit; whether there was anything to commit."""
    annex = call.annex()
    adder = Adder(annex, when_unset=AddAs.UNLOCKED)
    updates = []
    to_git = []
    try:
        for change in changed_below(annex, ()):
            if change.status == "D":
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


class _Adding:
    """One run over files to add."""

    def __init__(self, call: Invocation, places: Places, force: Force, backend: bytes | None = None) -> None:
        self.staging = Staging()
        self._call = call
        self._annex = call.annex()
        self._places = places
        self._adder = Adder(self._annex, backend=backend, force=force)
        self._to_git: list[bytes] = []

    def add_one(self, candidate: Candidate, *, dry: bool = False, command: str = "") -> bool:
        """Add one file, or say what is wrong with it; False when it is left alone."""
        path, word = candidate
        try:
            added = None if dry else self._adder.add(path)
        except (AnnexError, OSError) as problem:
            with self._call.acting(command=command, file=self._places.shown(path), given=[word]):
                raise problem
            return True
        if added is None and not dry:
            return False
        with self._call.acting(
            command=command, file=self._places.shown(path), key=added.key if added else None, given=[word]
        ) as action:
            if added is None:
                return True
            if added.reason:
                kind = "dotfile" if added.reason.startswith("dotfile") else "non-large file"
                action.note(f"{kind}; adding content to git repository")
            self._stage(path, added)
        return True

    def settle(self) -> None:
        """Write the index."""
        self.staging.settle(self._annex)
        add_to_git(self._annex, self._to_git)
        self._to_git.clear()
        self._adder.close()

    def _stage(self, path: bytes, added: Added) -> None:
        if added.update is not None:
            self.staging.add(self._annex, added.update)
        else:
            self._to_git.append(path)
            self.staging.any = True


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
