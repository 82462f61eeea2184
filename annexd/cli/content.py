"""What commands that move content share: open remotes, where content may come from, what to say when it cannot."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.annex.worktree import populate
from annexd.cli.invocation import Failed, Interrupted, Invocation
from annexd.cli.reporters.contract import Action, Json
from annexd.cli.repositories import Names
from annexd.cli.seek import Item
from annexd.errors import AnnexError, RemoteError, UserError
from annexd.formats.key import Key
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.paths import display
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.remotes.contract import Remote, RemoteSpec
from annexd.remotes.registry import load_specs, open_remote
from annexd.transfer import perform
from annexd.transfer.failed_notes import NotesOfCommand
from annexd.transfer.job import Outcome, Result, Transfer
from annexd.transfer.meter import TransferMeter
from annexd.transfer.retries import Retries

ADD_REMOTES = "Maybe add some of these git remotes (git remote add ...):\n"
NOBODY = "No other repository is known to contain the file."
_FEW = 500      # keys after which files in the work tree get their content, without waiting for the end


class Remotes:
    """The remotes of one command run. Live ones belong to the thread whose AnnexState asks."""

    def __init__(self, call: Invocation) -> None:
        annex = call.annex()
        self.call = call
        self.specs: tuple[RemoteSpec, ...] = tuple(sorted(load_specs(annex), key=lambda spec: spec.cost))
        self.names = Names(annex)
        self.news = call.news
        self.failures = NotesOfCommand(annex.layout)
        self.out_of_reach: set[str] = set()
        """Names of remotes that failed as a whole; they are not asked, nor complained about, again."""
        self._running = call.running
        self._live: dict[tuple[int, str], Remote] = {}
        self._by_trust = sorted(
            (spec for spec in self.specs if spec.uuid not in (None, annex.uuid) and not spec.config.ignore),
            key=lambda spec: self.names.trust(spec.uuid or UUID(b"")) is TrustLevel.UNTRUSTED,
        )

    def named(self, name: str) -> RemoteSpec:
        """The remote of that name or uuid. Raises UserError."""
        for spec in self.specs:
            if name == spec.name or (spec.uuid is not None and name == display(spec.uuid)):
                if spec.uuid is None:
                    raise UserError(f"cannot determine uuid for {name} (perhaps you need to run \"git annex sync\"?)")
                return spec
        raise UserError(f'there is no available git remote named "{name}"')

    def live(self, annex: AnnexState, spec: RemoteSpec) -> Remote:
        """The remote, ready for the thread that owns `annex`. Raises RemoteRefused when its content is out of reach."""
        found = self._live.get((id(annex), spec.name))
        if found is None:
            found = self._live[id(annex), spec.name] = open_remote(spec)
        return found

    @property
    def most_large(self) -> int | None:
        """How many large contents to move at a time at most; None where a network sets the pace.

        Between disks of this machine more copies than processors only take the caches from each other.
        """
        moving = [spec for spec in self.specs if spec.holds_content and spec.available]
        return os.cpu_count() if all(spec.path is not None for spec in moving) else None

    def having(self, annex: AnnexState, key: Key) -> list[RemoteSpec]:
        """The remotes that are said to have the content, cheapest first, untrusted ones last."""
        return self.among(annex.locations.locations(key))

    def among(self, there: Collection[UUID]) -> list[RemoteSpec]:
        """The remotes that are among these repositories, or may have anything; cheapest first, untrusted ones last."""
        return [spec for spec in self._by_trust if spec.uuid in there or spec.config.speculate_present]

    def transfer(
        self, remote: Remote, direction: Direction, size: int | None, action: Action | None = None
    ) -> AbstractContextManager[TransferMeter]:
        """The meter of one transfer, or one batch, while the block runs."""
        if action is None:
            return self._running.transfer(remote, direction, size)
        return self._running.transfer(remote, direction, size, lambda done: action.progress(done, size))

    def persist(
        self,
        annex: AnnexState,
        remote: Remote,
        direction: Direction,
        item: Item,
        action: Action,
        attempt: Callable[[TransferMeter], Outcome],
    ) -> Outcome:
        """One transfer, tried as often as the settings want."""
        retries = Retries(annex.config, remote.spec.config)
        while True:
            with self.transfer(remote, direction, item.key.size, action) as meter:
                outcome = attempt(meter)
            wait = retries.after(outcome.error, meter.done) if outcome.result is Result.FAILED else None
            if wait is None or self._running.pause(wait):
                self.note(outcome, remote, direction, item)
                return outcome
            action.warning(str(outcome.error))

    def note(self, outcome: Outcome, remote: Remote, direction: Direction, item: Item) -> None:
        """Leave a note about a transfer that failed, for --failed and the daemon; away with it when it worked."""
        if remote.spec.uuid is None:
            return
        transfer = Transfer(direction, remote.spec.uuid, item.key)
        if outcome.is_success:
            self.failures.done(transfer)
        elif outcome.result is Result.FAILED:
            self.failures.failed(transfer, item.file or item.name)

    def close(self) -> None:
        """Let go of all of them."""
        for remote in self._live.values():
            remote.close()
        self._live.clear()


class Arrivals:
    """Keys whose content came: their unlocked files in the work tree get it, for many at once."""

    def __init__(self, call: Invocation) -> None:
        self._call = call
        self._lock = threading.Lock()       # leaf: guards the list
        self._keys: list[Key] = []

    def add(self, annex: AnnexState, key: Key) -> None:
        """Note one that is in the object store now."""
        with self._lock:
            self._keys.append(key)
            if len(self._keys) < _FEW:
                return
        self.settle(annex)

    def settle(self, annex: AnnexState) -> None:
        """Fill the files."""
        with self._lock:
            keys, self._keys = self._keys, []
        if not keys or annex.layout.work_tree is None:
            return
        self._call.presence_changed = True
        for path, reason in populate(annex, keys).failed:
            self._call.reporter.error(f"{display(path)}: {reason}")


def fetch(remotes: Remotes, annex: AnnexState, item: Item, action: Action, specs: Sequence[RemoteSpec]) -> None:
    """Get the content from the first of `specs` that gives it, and record that it is here. Raises Failed."""
    unreachable: list[RemoteSpec] = []
    for spec in specs:
        problem = _try_fetch(remotes, annex, item, action, spec)
        if problem is None:
            return
        unreachable.append(spec)
    if not specs:
        action.note("not available")
    say_who_has_it(remotes, annex, item.key, action, unreachable)
    raise Failed


def fetch_from(remotes: Remotes, annex: AnnexState, item: Item, action: Action, spec: RemoteSpec) -> None:
    """Get the content from this remote and no other. Raises Failed."""
    action.note(f"from {spec.name}...")
    if not spec.available:
        action.warning("cannot access remote")
        raise Failed
    outcome = download(remotes, annex, item, action, remotes.live(annex, spec))
    require_success(outcome, action, "failed to retrieve content from remote")


def send(remotes: Remotes, annex: AnnexState, item: Item, action: Action, spec: RemoteSpec) -> bool:
    """Give the remote the content, and record that it has it; True when it had it before. Raises Failed."""
    if not spec.available:
        action.warning("cannot access remote")
        raise Failed
    remote = remotes.live(annex, spec)
    had_it = remote.has_key(item.key)
    if not had_it:
        action.note(f"to {spec.name}...")
        outcome = remotes.persist(annex, remote, Direction.UPLOAD, item, action, lambda meter: perform.upload(
            annex, remote, item.key, item.file, meter=meter
        ))  # fmt: skip
        require_success(outcome, action, "failed to send content to remote")
    assert spec.uuid is not None        # `Remotes.named` and `having` give no others
    remotes.news.there([item.key], spec.uuid)
    remotes.news.record_when_due(annex)
    return had_it


def download(remotes: Remotes, annex: AnnexState, item: Item, action: Action, remote: Remote) -> Outcome:
    """Get the content from one remote, and take note that it is here."""
    remotes.news.expect([item.key])
    outcome = remotes.persist(annex, remote, Direction.DOWNLOAD, item, action, lambda meter: perform.download(
        annex, [remote], item.key, item.file, meter=meter
    ))  # fmt: skip
    if outcome.is_success:
        remotes.news.here([item.key])
        remotes.news.record_when_due(annex)
    return outcome


def record(annex: AnnexState, key: Key, spec: RemoteSpec, presence: Presence) -> None:
    """Note what a remote has."""
    assert spec.uuid is not None        # `Remotes.named` and `having` give no others
    annex.locations.record(key, spec.uuid, presence)


def require_success(outcome: Outcome, action: Action, message: str) -> None:
    """Raises Failed, with the reason told, unless the transfer went well; Interrupted when it was stopped."""
    if outcome.is_success:
        return
    if outcome.result is Result.PAUSED:
        raise Interrupted
    if outcome.error is not None:
        action.warning(str(outcome.error))
    action.warning(message)
    raise Failed


def say_who_has_it(
    remotes: Remotes, annex: AnnexState, key: Key, action: Action, unreachable: Sequence[RemoteSpec]
) -> None:
    """Tell where the content could be had, when it cannot be had now."""
    if unreachable:
        action.long_note(f"Unable to access these remotes: {', '.join(spec.name for spec in unreachable)}")
    known = {spec.uuid for spec in remotes.specs if not spec.config.ignore}
    names = remotes.names
    others = [
        uuid
        for uuid in sorted(annex.locations.locations(key))
        if uuid not in known and uuid != annex.uuid and names.trust(uuid) is not TrustLevel.DEAD
    ]
    if others:
        action.advice(ADD_REMOTES + "".join(f"\t{names.line(uuid)}\n" for uuid in others))
    else:
        action.advice(NOBODY)
    action.field("wanted", who(names, others))


def who(names: Names, uuids: Iterable[UUID]) -> list[Json]:
    """Repositories as --json shows them."""
    return [{"uuid": display(u), "description": names.plain(u), "here": names.is_here(u)} for u in uuids]


def _try_fetch(
    remotes: Remotes, annex: AnnexState, item: Item, action: Action, spec: RemoteSpec
) -> AnnexError | str | None:
    """None when it worked; a remote that cannot be reached, or has it no longer, is passed over in silence."""
    if not spec.available or spec.name in remotes.out_of_reach:
        return "cannot access remote"
    try:
        remote = remotes.live(annex, spec)
        if not remote.has_key(item.key):
            return "the remote has it no longer"
    except RemoteError as problem:
        remotes.out_of_reach.add(spec.name)
        action.warning(str(problem))
        return problem
    action.note(f"from {spec.name}...")
    outcome = download(remotes, annex, item, action, remote)
    if outcome.is_success:
        return None
    if outcome.result is Result.PAUSED:
        raise Interrupted
    action.warning(str(outcome.error) if outcome.error else "failed to retrieve content from remote")
    return outcome.error or "failed"
