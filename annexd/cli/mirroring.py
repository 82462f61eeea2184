"""What mirror does with each item.

Source: git-annex, mirror.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, suppress

from annexd.annex.state import AnnexState
from annexd.cli.content import Arrivals, Remotes, fetch, send
from annexd.cli.dropping import drop_item
from annexd.cli.invocation import Invocation
from annexd.cli.reporters.contract import Action
from annexd.cli.runner import Task
from annexd.cli.seek import Item
from annexd.cli.small_files import fetch_many, send_many
from annexd.errors import RemoteError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec


class Mirroring:
    """One run. Its methods are called from all threads of -J."""

    def __init__(self, call: Invocation, options: Namespace, remotes: Remotes) -> None:
        self.remotes = remotes
        self.arrivals = Arrivals(call)
        self._call = call
        self._options = options

    def onto(self, spec: RemoteSpec) -> Task[Item]:
        """The remote gets what is here, and loses what is not."""

        def act(annex: AnnexState, item: Item) -> bool:
            if annex.store.is_present(item.key):
                with self._acting(item, "copy") as action:
                    send(self.remotes, annex, item, action, spec)
            else:
                with self._acting(item, "drop") as action:
                    drop_item(self.remotes, annex, item, action, spec, self._options)
            return True

        def act_on_many(annex: AnnexState, items: Sequence[Item]) -> Iterable[Item]:
            def is_here(item: Item) -> bool:
                return annex.store.is_present(item.key)

            return send_many(self.remotes, annex, items, spec, lambda item: self._acting(item, "copy"), is_here)

        return Task(act, act_on_many=act_on_many, most_large=self.remotes.most_large)

    def like(self, spec: RemoteSpec) -> Task[Item]:
        """Here comes, from wherever it is, what the remote has; and goes what it has not."""

        def act(annex: AnnexState, item: Item) -> bool:
            try:
                is_there = self.remotes.live(annex, spec).has_key(item.key)
            except RemoteError:
                return False
            if is_there == annex.store.is_present(item.key):
                return False
            if is_there:
                with self._acting(item, "get") as action:
                    fetch(self.remotes, annex, item, action, self.remotes.having(annex, item.key))
                    self.arrivals.add(annex, item.key)
            else:
                with self._acting(item, "drop") as action:
                    drop_item(self.remotes, annex, item, action, None, self._options)
            return True

        def act_on_many(annex: AnnexState, items: Sequence[Item]) -> Iterable[Item]:
            absent = [item.key for item in items if not annex.store.is_present(item.key)]
            due: frozenset[Key] = frozenset()
            with suppress(RemoteError):
                due = self.remotes.live(annex, spec).has_keys(absent)

            def source_of(item: Item, there: Collection[UUID]) -> RemoteSpec | None:
                return next(iter(self.remotes.among(there)), None) if item.key in due else None

            def acting(item: Item) -> AbstractContextManager[Action]:
                return self._acting(item, "get")

            return fetch_many(self.remotes, annex, items, source_of, acting, self.arrivals)

        return Task(act, act_on_many=act_on_many, most_large=self.remotes.most_large)

    def _acting(self, item: Item, command: str) -> AbstractContextManager[Action]:
        return self._call.acting_on(item, command)
