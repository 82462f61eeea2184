"""One exchange with the remotes: commit, pull, content, push. sync, pull, push and assist choose among the parts."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from annexd.annex.state import AnnexState
from annexd.cli.adjusting import follow_adjusted, hidden_items
from annexd.cli.arguments import Parser, add_jobs
from annexd.cli.content import Arrivals, Remotes, fetch, send
from annexd.cli.invocation import Failed, Invocation
from annexd.cli.reporters.contract import Action
from annexd.cli.runner import Task, run_jobs
from annexd.cli.seek import Item, seek
from annexd.cli.small_files import fetch_many, send_many
from annexd.cli.staging import INDEX_SECONDS
from annexd.errors import AnnexError, BusyError, UserError
from annexd.formats.paths import display, from_text
from annexd.formats.uuid import UUID
from annexd.git.history import is_ancestor
from annexd.remotes.contract import RemoteSpec
from annexd.sync.fetch import fetch_remote, may_fetch
from annexd.sync.merge import (
    HEADS,
    SYNCED,
    MergeKind,
    MergeReport,
    branch_to_sync,
    local_synced,
    merge_into_head,
    remote_refs,
)
from annexd.sync.push import PushKind, may_push, push_remote
from annexd.sync.resolve import Resolved
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.wanted import PreferredContent

PUSH_TRIES = 3
RESOLVED_NOTE = "Merge conflict was automatically resolved; you may want to examine the result."


@dataclass(frozen=True, slots=True)
class Parts:
    """What a command does by default."""

    add: bool = False
    commit: bool = False
    pull: bool = False
    push: bool = False
    content: bool = False


def configure(parser: Parser, parts: Parts) -> None:
    """Declare the options that go with these parts."""
    parser.set_words("[REMOTE ...]")
    parser.add_argument("-a", "--only-annex", action="store_true", help="do not operate on git branches")
    parser.add_argument("--not-only-annex", action="store_false", dest="only_annex",
                        help="operate on git branches as well as annex")
    parser.add_argument("--content", action="store_true", default=None, help="transfer annexed file contents")
    parser.add_argument("-g", "--no-content", action="store_false", dest="content",
                        help="do not transfer annexed file contents")
    parser.add_argument("-C", "--content-of", metavar="PATH", action="append", default=[],
                        help="transfer contents of annexed files in a given location")
    parser.add_argument("-A", "--all", action="store_true", help="operate on all versions of all files")
    if parts.commit:
        parser.add_argument("-m", "--message", metavar="MSG", help="commit message")
    parser.add_argument("--allow-unrelated-histories", action="store_true", default=True,
                        help="merge histories that share nothing, which is always done")
    parser.add_argument("--resolvemerge", action="store_true", default=None,
                        help="resolve merge conflicts whatever annex.resolvemerge says")
    parser.add_argument("--no-resolvemerge", action="store_false", dest="resolvemerge",
                        help="do not automatically resolve merge conflicts: a history in conflict is not merged")
    add_jobs(parser)


class Sync:
    """One run of the command, in the main thread."""

    def __init__(self, call: Invocation, options: Namespace, parts: Parts) -> None:
        self._call = call
        self._options = options
        self._parts = parts
        self._annex = call.annex()
        self._remotes = Remotes(call)
        self._stop = StopSignal()
        self._wanted = PreferredContent()
        self._branch = branch_to_sync(self._annex.refs.head())

    def run(self) -> int:
        """Everything, in git-annex's order; the exit status. Raises UserError for an unknown remote."""
        only_annex = self._options.only_annex or self._annex.config.sync_only_annex
        if self._parts.add:
            from annexd.cli.adding import add_everything

            add_everything(self._call)
        if self._parts.commit and not only_annex:
            self._commit()
        if not only_annex:
            follow_adjusted(self._call)
        specs = list(self._chosen())
        try:
            if self._parts.pull:
                self._pull_all(specs, only_annex=only_annex)
            if self._moves_content():
                self._move_content(specs)
            self._call.save()
            if self._call.presence_changed:
                follow_adjusted(self._call)
            if self._parts.push:
                for spec in specs:
                    self._push(spec, only_annex=only_annex)
        finally:
            self._remotes.close()
        return self._call.finish()

    def _chosen(self) -> Iterator[RemoteSpec]:
        if not self._options.words:
            yield from (spec for spec in self._remotes.specs if spec.url is not None and spec.config.sync)
            return
        for name in self._options.words:
            found = next((spec for spec in self._remotes.specs if spec.name == name), None)
            if found is None:
                raise UserError(f'there is no available git remote named "{name}"')
            yield found

    # history

    def _commit(self) -> None:
        from annexd.annex.describe import default_description
        from annexd.cli.adding import commit_tracked

        annex = self._annex
        description = annex.settings.descriptions.get(annex.uuid) or default_description(annex.repo.top)
        message = from_text(self._options.message) if self._options.message else b"git-annex in " + description
        with self._call.acting(command="commit"):
            if annex.layout.work_tree is not None:
                commit_tracked(self._call, message)

    def _pull_all(self, specs: list[RemoteSpec], *, only_annex: bool) -> None:
        if self._branch is not None and not only_annex:
            for ref in (HEADS + self._branch, local_synced(self._branch)):
                self._merge_if_there(ref)
        for spec in specs:
            if may_fetch(spec):
                self._pull(spec, only_annex=only_annex)
        self._call.fresh_annex()
        self._fill_files()

    def _pull(self, spec: RemoteSpec, *, only_annex: bool) -> None:
        with self._call.acting(spec.name, command="pull") as action:
            outcome = fetch_remote(self._annex, spec, self._stop)
            if not outcome.is_done:
                action.warning(outcome.reason)
                raise Failed
            if self._branch is not None and not only_annex:
                for ref in remote_refs(spec.name, self._branch):
                    merge(self._annex, ref, action, resolves=self._options.resolvemerge)

    def _merge_if_there(self, ref: bytes) -> None:
        if self._annex.refs.read(ref) is not None:
            merge_and_tell(self._call, ref, resolves=self._options.resolvemerge)

    def _push(self, spec: RemoteSpec, *, only_annex: bool) -> None:
        """Rejected: someone else pushed. Pull and try again."""
        if not may_push(spec):
            return
        branch = None if only_annex else self._branch
        for attempt in range(PUSH_TRIES):
            outcome = push_remote(self._annex, spec, branch, self._stop)
            if outcome.kind is not PushKind.REJECTED or attempt == PUSH_TRIES - 1 or not may_fetch(spec):
                break
            self._pull(spec, only_annex=only_annex)
            self._call.fresh_annex()
        if outcome.kind is PushKind.UP_TO_DATE:
            return
        with self._call.acting(spec.name, command="push") as action:
            if outcome.kind is not PushKind.PUSHED:
                action.warning(outcome.reason)
                raise Failed

    # content

    def _moves_content(self) -> bool:
        if self._options.content is not None:
            return bool(self._options.content)
        return bool(self._options.content_of) or self._parts.content or self._annex.config.sync_content

    def _move_content(self, specs: list[RemoteSpec]) -> None:
        usable = [spec for spec in specs if spec.holds_content]
        if not usable:
            return
        arrivals = Arrivals(self._call)
        words = Namespace(words=self._options.content_of, all=self._options.all)
        hidden = None if words.words or words.all else hidden_items(self._call)

        def move(annex: AnnexState, item: Item) -> bool:
            did = self._get(annex, item, usable, arrivals)
            if self._parts.push and annex.store.is_present(item.key):
                did = self._put(annex, item, usable) or did
            return did

        def move_many(annex: AnnexState, items: Sequence[Item]) -> Sequence[Item]:
            self._get_many(annex, items, usable, arrivals)
            for spec in usable:
                self._put_many(annex, items, spec)
            return items        # what is left of them is seen when each is looked at

        try:
            run_jobs(self._call, hidden or seek(self._call, words), Task(move, act_on_many=move_many))
        finally:
            arrivals.settle(self._annex)

    def _get(self, annex: AnnexState, item: Item, specs: list[RemoteSpec], arrivals: Arrivals) -> bool:
        if not self._parts.pull or annex.store.is_present(item.key):
            return False
        sources = self._sources(annex, item, specs, annex.locations.locations(item.key))
        if not sources:
            return False
        with self._acting(item, "get") as action:
            fetch(self._remotes, annex, item, action, sources)
            arrivals.add(annex, item.key)
        self._call.news.record_now(annex)
        return True

    def _put(self, annex: AnnexState, item: Item, specs: list[RemoteSpec]) -> bool:
        there = annex.locations.locations(item.key)
        targets = [spec for spec in specs if self._is_target(annex, item, spec, there)]
        for spec in targets:
            with self._acting(item, "put") as action:
                send(self._remotes, annex, item, action, spec)
        if targets:
            self._call.news.record_now(annex)
        return bool(targets)

    def _get_many(
        self, annex: AnnexState, items: Sequence[Item], specs: list[RemoteSpec], arrivals: Arrivals
    ) -> None:
        if not self._parts.pull:
            return

        def source_of(item: Item, there: Collection[UUID]) -> RemoteSpec | None:
            return next(iter(self._sources(annex, item, specs, there)), None)

        absent = [item for item in items if not annex.store.is_present(item.key)]
        acting = partial(self._acting, command="get")
        _exhaust(fetch_many(self._remotes, annex, absent, source_of, acting, arrivals))
        self._call.news.record_now(annex)

    def _put_many(self, annex: AnnexState, items: Sequence[Item], spec: RemoteSpec) -> None:
        if not self._parts.push:
            return
        logs = annex.locations.locations_many([item.key for item in items])

        def may(item: Item) -> bool:
            return annex.store.is_present(item.key) and self._is_target(annex, item, spec, logs[item.key])

        acting = partial(self._acting, command="put")
        _exhaust(send_many(self._remotes, annex, items, spec, acting, may))
        self._call.news.record_now(annex)

    def _sources(
        self, annex: AnnexState, item: Item, specs: list[RemoteSpec], there: Collection[UUID]
    ) -> list[RemoteSpec]:
        """Where content that is wanted may come from; nothing when it is not wanted."""
        sources = [spec for spec in specs if spec.uuid in there and spec.config.pull]
        return sources if sources and self._wanted(annex).wants(annex.uuid, item.key, item.file) else []

    def _is_target(self, annex: AnnexState, item: Item, spec: RemoteSpec, there: Collection[UUID]) -> bool:
        if spec.uuid is None or spec.uuid in there or not spec.config.push or spec.config.readonly:
            return False
        return self._wanted(annex).wants(spec.uuid, item.key, item.file)

    def _acting(self, item: Item, command: str) -> AbstractContextManager[Action]:
        return self._call.acting(command=command, file=item.shown, key=item.key, given=item.given)

    def _fill_files(self) -> None:
        """Files that came with a merge get what is here already, whatever filters wrote."""
        from annexd.annex.smudge_update import fill_checked_out

        for path, reason in fill_checked_out(self._annex):
            self._call.reporter.error(f"{display(path)}: {reason}")


def _exhaust(items: Iterable[Item]) -> None:
    """Do what an iterator does on the way; who is yielded is looked at once more later."""
    for _ in items:
        pass


def merge(annex: AnnexState, ref: bytes, action: Action, *, resolves: bool | None = None) -> bool:
    """Merge what `ref` points to; whether there was anything new. Says where versions in conflict are kept.

    Raises BusyError, with the paths in the way.
    """
    report = _merge_report(annex, ref, resolves=resolves)
    tell_resolved(action, report.resolved)
    return report.moved


def merge_and_tell(call: Invocation, ref: bytes, *, resolves: bool | None = None) -> None:
    """The same as an action of its own, of which nothing is said when there was nothing new."""
    shown = display(ref.removeprefix(b"refs/heads/"))
    try:
        report = _merge_report(call.annex(), ref, resolves=resolves)
    except AnnexError as problem:
        with call.acting(shown, command="merge"):
            raise problem
    if report.moved:
        with call.acting(shown, command="merge") as action:
            tell_resolved(action, report.resolved)
            _forget_merged(call.annex(), ref)


def _merge_report(annex: AnnexState, ref: bytes, *, resolves: bool | None) -> MergeReport:
    report = merge_into_head(annex, ref, Deadline(INDEX_SECONDS), resolves=resolves)
    paths = ", ".join(display(path) for path in report.paths[:10])
    if report.kind is MergeKind.CONFLICT:
        raise BusyError(f"{display(ref)} conflicts with our history in: {paths}", hint="merge it with git merge")
    if report.kind is MergeKind.BLOCKED:
        raise BusyError(f"local changes are in the way of {display(ref)}: {paths}", hint="commit or undo them")
    return report


def tell_resolved(action: Action, resolved: Sequence[Resolved]) -> None:
    """Say where the versions of files in conflict are now."""
    if not resolved:
        return
    shown = [f"{display(path)}: {', '.join(map(display, kept)) or 'deleted'}" for path, kept in resolved[:10]]
    if len(resolved) > len(shown):
        shown.append(f"and {len(resolved) - len(shown)} more")
    action.long_note("\n".join((*shown, RESOLVED_NOTE)))


def _forget_merged(annex: AnnexState, ref: bytes) -> None:
    """What was pushed here for us to merge is part of our branch now, so git-annex removes the ref, and so do we."""
    oid = annex.refs.read(ref)
    head = annex.refs.head().oid
    if oid is None or head is None or not ref.startswith(HEADS + SYNCED):
        return
    if is_ancestor(annex.objects, oid, head):
        annex.refs.delete(ref, oid)


def run(call: Invocation, options: Namespace, parts: Parts) -> int:
    """One exchange."""
    if call.annex().layout.is_bare and parts.add:
        raise UserError("You cannot run this command in a bare repository.")
    os.environ.setdefault("GIT_TERMINAL_PROMPT", "0")
    return Sync(call, options, parts).run()
