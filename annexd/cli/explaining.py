"""Why one file's content is where it is, as the daemon explains it or, without one, as the repository shows it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annexd.annex.annexed_files import annexed, tracked
from annexd.annex.numcopies import copies_for_key
from annexd.annex.state import AnnexState
from annexd.cli.daemon_control import ask_daemon
from annexd.cli.invocation import Invocation
from annexd.cli.repositories import HERE, Names
from annexd.cli.seek import parse_key, places_of
from annexd.errors import UserError
from annexd.formats.key import Key
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.paths import display
from annexd.formats.transfer_info import Direction
from annexd.formats.units import format_seconds, format_size
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.remotes.registry import load_specs
from annexd.transfer import policy
from annexd.transfer.explain import HERE as US
from annexd.transfer.explain import Standing
from annexd.transfer.job import Reason
from annexd.transfer.locks import running_transfers
from annexd.transfer.wanted import PreferredContent


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of one content. `where` are Standings as dictionaries, ours first."""

    file: str | None
    key: Key
    has_daemon: bool
    holders: Sequence[str]
    copies_wanted: int
    where: Sequence[Mapping[str, Any]]

    def lines(self) -> Iterator[str]:
        """For people."""
        size = "" if self.key.size is None else f", {format_size(self.key.size)}"
        yield f"{self.file or 'key'} ({self.key}{size})"
        known = f"known to be in {', '.join(self.holders)}" if self.holders else "not known to be anywhere"
        yield f"  {len(self.holders)} of {self.copies_wanted} wanted copies, {known}"
        for standing in self.where:
            yield from _standing_lines(standing)
        if not self.has_daemon:
            yield "  annexd is not running: nothing is moved by itself (start it with: annexd start)"

    def record(self) -> dict[str, Any]:
        """For machines."""
        return {
            "file": self.file, "key": str(self.key), "size": self.key.size, "daemon": self.has_daemon,
            "copies": list(self.holders), "numcopies": self.copies_wanted, "where": list(self.where),
        }  # fmt: skip


def explain_file(call: Invocation, options: Namespace) -> Explanation:
    """The file or key that the options name. Raises UserError."""
    annex = call.fresh_annex()
    words = list(options.words)
    key, path, shown = _subject(annex, options.key, words)
    remote = words[0] if words else None
    if len(words) > 1:
        raise UserError("name one file, and perhaps one remote")
    if remote in HERE:
        remote = US
    answer = _ask(annex, key, path, remote)
    where = answer if answer is not None else _offline(annex, key, path, remote)
    names = Names(annex)
    alive = [u for u in sorted(annex.locations.locations(key)) if names.trust(u) is not TrustLevel.DEAD]
    holders = [names.full(uuid) or display(uuid) for uuid in alive]
    wanted = copies_for_key(annex, key, [path] if path else []).numcopies
    return Explanation(shown, key, answer is not None, holders, wanted, where)


def _subject(annex: AnnexState, key: str | None, words: list[str]) -> tuple[Key, bytes | None, str | None]:
    """What is asked about; its word is taken out of `words`."""
    if key is not None:
        return parse_key(key), None, None
    if not words:
        raise UserError("name a file")
    word = words.pop(0)
    path = places_of(annex).repo_path(word)
    file = next(annexed(annex, [found for found in tracked(annex, [path]) if found.path == path]), None)
    if file is None:
        raise UserError(f"{word} is not an annexed file", hint="git keeps it, or it was not added yet")
    return file.key, path, word


def _ask(annex: AnnexState, key: Key, path: bytes | None, remote: str | None) -> list[dict[str, Any]] | None:
    request: dict[str, Any] = {"do": "why", "key": os.fsdecode(bytes(key))}
    if path is not None:
        request["file"] = os.fsdecode(path)
    if remote is not None:
        request["remote"] = remote
    answer = ask_daemon(annex.layout, request)
    return None if answer is None else list(answer["where"])


def _offline(annex: AnnexState, key: Key, path: bytes | None, remote: str | None) -> list[dict[str, Any]]:
    specs = policy.by_uuid(load_specs(annex))
    view = _Offline(annex, specs, key, path)
    found = [view.us(), *(view.remote(uuid, spec) for uuid, spec in sorted(specs.items(), key=lambda i: i[1].name))]
    chosen = [asdict(standing) for standing in found if remote in (None, standing.name)]
    if not chosen:
        raise UserError(f'there is no available git remote named "{remote}"')
    return chosen


class _Offline:
    """What can be told without a daemon: logs, preferred content, what other programs transfer, notes of failures."""

    def __init__(
        self, annex: AnnexState, specs: Mapping[UUID, RemoteSpec], key: Key, path: bytes | None
    ) -> None:
        self._annex = annex
        self._specs = specs
        self._key = key
        self._path = path
        self._present = annex.store.is_present(key)
        self._locations = annex.locations.locations(key)
        self._wants = PreferredContent()(annex)
        self._running = {
            (transfer.direction, transfer.uuid): info
            for transfer, info in running_transfers(annex.layout)
            if transfer.key == key
        }

    def us(self) -> Standing:
        """This repository."""
        uuid = self._annex.uuid
        wanted = self._wants.wants(uuid, self._key, self._path)
        if self._present:
            said = "" if uuid in self._locations else "the location log does not say so"
            return Standing(US, True, wanted, "present", said, "run: annexd fsck" if said else "")
        for (direction, source), info in self._running.items():
            if direction is Direction.DOWNLOAD:
                name = self._specs[source].name if source in self._specs else display(source)
                done = f", {format_size(info.bytes_done)} done" if info.bytes_done else ""
                return Standing(US, False, wanted, "running", f"another program gets it from {name}{done}")
        sources = policy.sources_of(specs=self._specs, locations=self._locations, reason=Reason.ASKED)
        failed = [self._specs[s].name for s in sources if self._has_failed(Direction.DOWNLOAD, s)]
        if not wanted:
            return Standing(US, False, False, "not wanted", "this repository's preferred content does not include it",
                            "get it anyway with: annexd get")
        if not sources:
            advice = "add one of the repositories that have it as a remote" if self._locations else ""
            return Standing(US, False, True, "waiting", "no remote is known to have it", advice)
        away = [self._specs[source].name for source in sources if not self._specs[source].available]
        if len(away) == len(sources):
            return Standing(US, False, True, "waiting", f"only {', '.join(away)} has it", "connect it")
        if failed:
            return Standing(US, False, True, "failed", f"getting it from {', '.join(failed)} failed", "run: annexd get")
        return Standing(US, False, True, "absent", "nothing was done to get it yet", "run: annexd get")

    def remote(self, uuid: UUID, spec: RemoteSpec) -> Standing:
        """One remote."""
        name = spec.name
        wanted = self._wants.wants(uuid, self._key, self._path)
        if uuid in self._locations:
            return Standing(name, True, wanted, "present")
        if (Direction.UPLOAD, uuid) in self._running:
            return Standing(name, False, wanted, "running", "another program sends it")
        if not wanted:
            return Standing(name, False, False, "not wanted", "its preferred content does not include it")
        if not policy.may_upload(spec, Reason.SCAN):
            return Standing(name, False, True, "left out", "the settings of this remote keep content from being sent")
        if not spec.available:
            return Standing(name, False, True, "waiting", "it is not there", "connect it")
        if not self._present:
            return Standing(name, False, True, "waiting", "the content is not here either")
        state = "failed" if self._has_failed(Direction.UPLOAD, uuid) else "absent"
        reason = "sending it failed" if state == "failed" else "nothing was done to send it yet"
        return Standing(name, False, True, state, reason, f"run: annexd copy --to {name}")

    def _has_failed(self, direction: Direction, uuid: UUID) -> bool:
        return os.path.exists(self._annex.layout.failed_transfer(direction.value, uuid, self._key))


def _standing_lines(standing: Mapping[str, Any]) -> Iterator[str]:
    words = ["has it" if standing["has_it"] else "lacks it"]
    if standing["state"] not in ("not wanted", "present"):
        words.append(("wants it" if standing["wants_it"] else "does not want it") + f", {standing['state']}")
    elif standing["has_it"] and not standing["wants_it"]:
        words.append("does not want it")
    wait = standing.get("next_try")
    soon = "" if wait is None else f"; next try {'now' if wait < 1 else 'in ' + format_seconds(wait)}"
    reason = f": {standing['reason']}" if standing["reason"] else ""
    yield f"  {standing['name']}: {', '.join(words)}{reason}{soon}"
    if standing["advice"]:
        yield f"    {standing['advice']}"
