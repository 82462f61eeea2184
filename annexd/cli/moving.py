"""copy and move: the same, but for what stays behind."""

from __future__ import annotations

import enum
from argparse import Namespace
from contextlib import AbstractContextManager

from annexd.annex.location_log import Presence
from annexd.annex.numcopies import Copies
from annexd.annex.state import AnnexState
from annexd.cli.arguments import Parser, add_batch, add_jobs, add_json, add_keys, add_matching
from annexd.cli.content import Arrivals, Remotes, fetch_from, record, send
from annexd.cli.dropping import copies_wanted, say_unsafe, witnesses
from annexd.cli.invocation import Invocation
from annexd.cli.reporters.contract import Action
from annexd.cli.repositories import HERE
from annexd.cli.runner import Perform, for_each
from annexd.cli.seek import Item, seek
from annexd.cli.wanting import is_wanted_at
from annexd.errors import NotEnoughCopies, UserError
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
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
    add_keys(parser)
    add_batch(parser, keys=True)
    add_jobs(parser)
    add_json(parser, progress=True)
    add_matching(parser)


def run_moving(call: Invocation, options: Namespace, leave: Leave) -> int:
    """Either command."""
    source = None if options.source in HERE else options.source
    target = None if options.target in HERE else options.target
    if options.source is None and options.target is None:
        raise UserError("Specify --from or --to")
    if source and target:
        raise UserError("moving between two remotes is not supported yet", hint="go by way of here")
    annex = call.fresh_annex()
    moving = _Moving(call, options, leave, Remotes(call))
    try:
        if source:
            act = moving.bring(moving.remotes.named(source))
        elif target:
            act = moving.give(moving.remotes.named(target))
        else:
            act = moving.bring_from_anywhere
        for_each(call, seek(call, options), act, is_batch=options.batch or options.batch_keys)
    finally:
        moving.arrivals.settle(annex)
        moving.remotes.close()
    return call.conclude(anything_done=moving.did)


class _Moving:
    """One run. Its methods are called from all threads of -J; only `did` and the collectors are shared."""

    def __init__(self, call: Invocation, options: Namespace, leave: Leave, remotes: Remotes) -> None:
        self.remotes = remotes
        self.arrivals = Arrivals(call)
        self.did = False
        self._call = call
        self._options = options
        self._leave = leave

    def give(self, spec: RemoteSpec) -> Perform:
        """To a remote."""

        def act(annex: AnnexState, item: Item) -> bool:
            if not annex.store.is_present(item.key):
                return False
            is_known = spec.uuid in annex.locations.locations(item.key)
            if is_known and self._options.fast and self._leave is Leave.COPY:
                return False
            if self._options.auto and (is_known or not is_wanted_at(annex, item, _uuid(spec))):
                return False
            self.did = True
            with self._acting(item) as action:
                had_it = send(self.remotes, annex, item, action, spec)
                if self._leave is Leave.NOTHING:
                    self._drop_here(annex, item, action, spec, target_had_it=had_it)
            return True

        return act

    def bring(self, spec: RemoteSpec) -> Perform:
        """From a remote."""

        def act(annex: AnnexState, item: Item) -> bool:
            is_here = annex.store.is_present(item.key)
            if (is_here and self._leave is Leave.COPY) or spec.uuid not in annex.locations.locations(item.key):
                return False
            if self._options.auto and not is_wanted_at(annex, item, annex.uuid):
                return False
            self.did = True
            with self._acting(item) as action:
                if is_here:
                    action.note(f"from {spec.name}...")
                else:
                    fetch_from(self.remotes, annex, item, action, spec)
                    self.arrivals.add(annex, item.key)
                if self._leave is Leave.NOTHING:
                    self._drop_there(annex, item, action, spec, we_had_it=is_here)
            return True

        return act

    def bring_from_anywhere(self, annex: AnnexState, item: Item) -> bool:
        """`--to here`: from whichever remotes have it."""
        did = False
        for spec in self.remotes.having(annex, item.key):
            if self._leave is Leave.COPY and annex.store.is_present(item.key):
                break
            did = self.bring(spec)(annex, item) or did
        return did

    def _acting(self, item: Item) -> AbstractContextManager[Action]:
        return self._call.acting(file=item.shown, key=item.key, given=item.given)

    def _drop_here(
        self, annex: AnnexState, item: Item, action: Action, spec: RemoteSpec, *, target_had_it: bool
    ) -> None:
        copies = self._copies(annex, item, annex.uuid, _uuid(spec), target_had_it=target_had_it)
        try:
            drop_here(annex, item.key, copies, witnesses(self.remotes, annex, item))
        except NotEnoughCopies as problem:
            raise say_unsafe(self.remotes, annex, item, action, problem, lost=[annex.uuid]) from problem

    def _drop_there(self, annex: AnnexState, item: Item, action: Action, spec: RemoteSpec, *, we_had_it: bool) -> None:
        copies = self._copies(annex, item, _uuid(spec), annex.uuid, target_had_it=we_had_it)
        remote = self.remotes.live(annex, spec)
        if not remote.has_key(item.key):
            record(annex, item.key, spec, Presence.MISSING)
            return
        others = witnesses(self.remotes, annex, item, without=spec)
        try:
            drop_there(annex, item.key, copies, remote, others)
        except NotEnoughCopies as problem:
            raise say_unsafe(self.remotes, annex, item, action, problem, lost=[_uuid(spec)]) from problem

    def _copies(self, annex: AnnexState, item: Item, source: UUID, target: UUID, *, target_had_it: bool) -> Copies:
        """A move that makes one copy where one goes leaves as many as there were, however few those are.

        Source: git-annex, move.
        """
        wanted = copies_wanted(annex, item, self._options)
        trust = self.remotes.names.trust
        if target_had_it or _RELIABILITY.index(trust(target)) < _RELIABILITY.index(trust(source)):
            return wanted
        return Copies(min(wanted.numcopies, 1), min(wanted.mincopies, 1))


def _uuid(spec: RemoteSpec) -> UUID:
    assert spec.uuid is not None        # `Remotes.named` gives no others
    return spec.uuid
