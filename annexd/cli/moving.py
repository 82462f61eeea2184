"""copy and move: the same, but for what stays behind."""

from __future__ import annotations

import enum
import os
from argparse import Namespace
from collections.abc import Collection, Iterable, Sequence

from annexd.annex.drop import HINT
from annexd.annex.location_log import Presence
from annexd.annex.numcopies import Copies
from annexd.annex.state import AnnexState
from annexd.cli.arguments import Parser, add_batch, add_jobs, add_json, add_keys, add_matching
from annexd.cli.content import Arrivals, Remotes, fetch_from, record, send
from annexd.cli.dropping import copies_wanted, refuse_required, say_unsafe, witnesses
from annexd.cli.invocation import Failed, Invocation
from annexd.cli.passing_on import pass_on
from annexd.cli.reporters.contract import Action
from annexd.cli.repositories import HERE
from annexd.cli.runner import Task, run_jobs
from annexd.cli.seek import Item, seek
from annexd.cli.small_files import fetch_many, send_many
from annexd.cli.wanting import is_wanted_at
from annexd.errors import NotEnoughCopies, UserError
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.remotes.object_copy import opened_object
from annexd.system import files
from annexd.transfer.dropping import drop_here, drop_there

_RELIABILITY = (TrustLevel.DEAD, TrustLevel.UNTRUSTED, TrustLevel.SEMITRUSTED, TrustLevel.TRUSTED)


class Leave(enum.Enum):
    """What stays at the source."""

    COPY = "copy"
    NOTHING = "move"


def add_direction(parser: Parser) -> None:
    """Declare the options of both commands."""
    parser.set_words("[PATH ...]")
    parser.add_argument("-f", "--from", metavar="REMOTE", dest="source", help="source remote")
    parser.add_argument("-t", "--to", metavar="REMOTE", dest="target", help="destination remote")
    parser.add_argument("--from-anywhere", action="store_true", help="from any remote, and from here")
    add_keys(parser)
    add_batch(parser, keys=True)
    add_jobs(parser)
    add_json(parser, progress=True)
    add_matching(parser)


def run_moving(call: Invocation, options: Namespace, leave: Leave) -> int:
    """Either command."""
    source = None if options.source in HERE else options.source
    target = None if options.target in HERE else options.target
    if (options.source is None or options.from_anywhere) and options.target is None:
        raise UserError("Specify --from or --to")
    annex = call.fresh_annex()
    moving = Moving(call, options, leave, Remotes(call))
    named = moving.remotes.named
    try:
        direction = None
        if options.from_anywhere and target:
            task = moving.gather(named(target))
        elif source and target:
            task = moving.hand_over(named(source), named(target))
        elif source:
            task, direction = moving.bring(named(source)), Direction.DOWNLOAD
        elif target:
            task, direction = moving.give(named(target)), Direction.UPLOAD
        else:
            task, direction = Task(moving.bring_from_anywhere), Direction.DOWNLOAD
        run_jobs(call, seek(call, options, direction), task, is_batch=options.batch or options.batch_keys)
    finally:
        moving.arrivals.settle(annex)
        moving.remotes.close()
    return call.conclude(anything_done=call.acted)


class Moving:
    """One run. Its methods are called from all threads of -J; only the collectors are shared."""

    def __init__(self, call: Invocation, options: Namespace, leave: Leave, remotes: Remotes) -> None:
        self.remotes = remotes
        self.arrivals = Arrivals(call)
        self._call = call
        self._options = options
        self._leave = leave

    # what is done with each item

    def give(self, spec: RemoteSpec) -> Task[Item]:
        """To a remote."""

        def is_due(annex: AnnexState, item: Item) -> bool:
            return annex.store.is_present(item.key)

        def act(annex: AnnexState, item: Item) -> bool:
            if not is_due(annex, item) or not self._may_give(annex, item, spec):
                return False
            with self._call.acting_on(item) as action:
                had_it = send(self.remotes, annex, item, action, spec)
                if self._leave is Leave.NOTHING:
                    self._make_durable(spec)
                    self._drop_here(annex, item, action, spec, target_had_it=had_it)
            return True

        def after(annex: AnnexState, item: Item, action: Action) -> None:
            if self._leave is Leave.NOTHING:
                self._drop_here(annex, item, action, spec, target_had_it=False)

        def sent() -> None:
            if self._leave is Leave.NOTHING:
                self._make_durable(spec)

        def act_on_many(annex: AnnexState, items: Sequence[Item]) -> Iterable[Item]:
            def may(item: Item) -> bool:
                return is_due(annex, item) and self._may_give(annex, item, spec)

            return send_many(self.remotes, annex, items, spec, self._call.acting_on, may, after, sent)

        return Task(act, is_due, act_on_many, self.remotes.most_large)

    def bring(self, spec: RemoteSpec) -> Task[Item]:
        """From a remote."""

        def is_due(annex: AnnexState, item: Item) -> bool:
            return self._leave is Leave.NOTHING or not annex.store.is_present(item.key)

        def act(annex: AnnexState, item: Item) -> bool:
            return self._bring(annex, item, spec)

        def source_of(_: Item, there: Collection[UUID]) -> RemoteSpec | None:
            return spec if spec.uuid in there else None

        def act_on_many(annex: AnnexState, items: Sequence[Item]) -> Iterable[Item]:
            return fetch_many(self.remotes, annex, items, source_of, self._call.acting_on, self.arrivals)

        in_batches = self._leave is Leave.COPY and not self._options.auto
        return Task(act, is_due, act_on_many if in_batches else None, self.remotes.most_large)

    def hand_over(self, source: RemoteSpec, target: RemoteSpec) -> Task[Item]:
        """From one remote to another."""
        return Task(lambda annex, item: self._hand_over(annex, item, source, target))

    def gather(self, target: RemoteSpec) -> Task[Item]:
        """From all other places to a remote."""
        give = self.give(target)

        def act(annex: AnnexState, item: Item) -> bool:
            did = False
            for source in self.remotes.having(annex, item.key):
                did = self._hand_over(annex, item, source, target) or did
            return give.act(annex, item) or did

        return Task(act)

    def bring_from_anywhere(self, annex: AnnexState, item: Item) -> bool:
        """`--to here`: from whichever remotes have it."""
        did = False
        for spec in self.remotes.having(annex, item.key):
            if self._leave is Leave.COPY and annex.store.is_present(item.key):
                break
            did = self._bring(annex, item, spec) or did
        return did

    # one item

    def _may_give(self, annex: AnnexState, item: Item, spec: RemoteSpec) -> bool:
        fast = self._options.fast and self._leave is Leave.COPY
        if not fast and not self._options.auto:
            return True
        if spec.uuid in annex.locations.locations(item.key):
            return False
        return not self._options.auto or is_wanted_at(annex, item, _uuid(spec))

    def _bring(self, annex: AnnexState, item: Item, spec: RemoteSpec) -> bool:
        is_here = annex.store.is_present(item.key)
        if (is_here and self._leave is Leave.COPY) or spec.uuid not in annex.locations.locations(item.key):
            return False
        if self._options.auto and not is_wanted_at(annex, item, annex.uuid):
            return False
        with self._call.acting_on(item) as action:
            if is_here:
                action.note(f"from {spec.name}...")
            else:
                fetch_from(self.remotes, annex, item, action, spec)
                self.arrivals.add(annex, item.key)
            if self._leave is Leave.NOTHING:
                _make_durable_here(annex, item)
                self._drop_there(annex, item, action, spec, annex.uuid, target_had_it=is_here)
        return True

    def _hand_over(self, annex: AnnexState, item: Item, source: RemoteSpec, target: RemoteSpec) -> bool:
        there = annex.locations.locations(item.key)
        if source.uuid == target.uuid or source.uuid not in there:
            return False
        if self._options.auto and (target.uuid in there or not is_wanted_at(annex, item, _uuid(target))):
            return False
        with self._call.acting_on(item) as action:
            pass_on(self.remotes, annex, item, action, source, target)
            if self._leave is Leave.NOTHING:
                self._make_durable(target)
                # git-annex counts copies in full here, unlike in a move that begins or ends here
                self._drop_there(annex, item, action, source, _uuid(target), target_had_it=True)
        return True

    # what goes from where it was

    def _drop_here(
        self, annex: AnnexState, item: Item, action: Action, spec: RemoteSpec, *, target_had_it: bool
    ) -> None:
        self._refuse_required(annex, item, action, annex.uuid, "here")
        copies = self._copies(annex, item, annex.uuid, _uuid(spec), target_had_it=target_had_it)
        try:
            drop_here(annex, item.key, copies, witnesses(self.remotes, annex, item))
            self.remotes.call.presence_changed = True
        except NotEnoughCopies as problem:
            raise self._say_unsafe(annex, item, action, problem, annex.uuid, "here") from problem

    def _drop_there(
        self, annex: AnnexState, item: Item, action: Action, spec: RemoteSpec, target: UUID, *, target_had_it: bool
    ) -> None:
        self._refuse_required(annex, item, action, _uuid(spec), spec.name)
        copies = self._copies(annex, item, _uuid(spec), target, target_had_it=target_had_it)
        remote = self.remotes.live(annex, spec)
        if not remote.has_key(item.key):
            record(annex, item.key, spec, Presence.MISSING)
            return
        others = witnesses(self.remotes, annex, item, without=spec)
        try:
            drop_there(annex, item.key, copies, remote, others)
        except NotEnoughCopies as problem:
            raise self._say_unsafe(annex, item, action, problem, _uuid(spec), spec.name) from problem

    def _refuse_required(self, annex: AnnexState, item: Item, action: Action, place: UUID, name: str) -> None:
        try:
            refuse_required(annex, item, place, self._options, action)
        except Failed:
            action.long_note(f"({HINT})")
            action.long_note(f"Content not dropped from {name}.")
            raise

    def _say_unsafe(
        self, annex: AnnexState, item: Item, action: Action, problem: NotEnoughCopies, place: UUID, name: str
    ) -> Failed:
        failed = say_unsafe(self.remotes, annex, item, action, problem, lost=[place], advice="")
        action.long_note(f"Content not dropped from {name}.")
        return failed

    def _copies(self, annex: AnnexState, item: Item, source: UUID, target: UUID, *, target_had_it: bool) -> Copies:
        """A move that makes one copy where one goes leaves as many as there were, however few those are.

        Source: git-annex, move.
        """
        wanted = copies_wanted(annex, item, self._options)
        trust = self.remotes.names.trust
        if target_had_it or _RELIABILITY.index(trust(target)) < _RELIABILITY.index(trust(source)):
            return wanted
        return Copies(min(wanted.numcopies, 1), min(wanted.mincopies, 1))

    def _make_durable(self, spec: RemoteSpec) -> None:
        """What a remote on this machine got must survive a power cut before it goes from where it was."""
        if spec.path is not None:
            files.sync_filesystem_of(spec.path)


def _make_durable_here(annex: AnnexState, item: Item) -> None:
    path = annex.store.locate(item.key)
    if path is not None:
        with opened_object(path) as fd:
            os.fsync(fd)
        files.sync_directory(os.path.dirname(path))


def _uuid(spec: RemoteSpec) -> UUID:
    assert spec.uuid is not None        # `Remotes.named` gives no others
    return spec.uuid
