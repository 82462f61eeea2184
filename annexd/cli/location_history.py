"""Where the content of files was, when, as the history of the git-annex branch tells it.

Source: git-annex, log.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from typing import NamedTuple

from annexd.annex.state import AnnexState
from annexd.cli.invocation import Invocation
from annexd.cli.reporters.contract import Json
from annexd.cli.repositories import Names
from annexd.cli.seek import Item, seek
from annexd.errors import UserError
from annexd.formats.branch_paths import key_of_location_log, location_log
from annexd.formats.key import Key
from annexd.formats.logs.presence import present
from annexd.formats.paths import display
from annexd.formats.uuid import UUID
from annexd.git.objects import ZERO, Oid

PASSED_ON = ("since", "after", "until", "before", "max_count")
BRANCH = b"refs/heads/git-annex"


class LogChange(NamedTuple):
    """A commit changed the location log of a key. `time` is in seconds since the epoch."""

    time: int
    old: Oid
    new: Oid
    key: Key


class Step(NamedTuple):
    """Who had the content after a change, and who did before."""

    time: int
    now: frozenset[UUID]
    before: frozenset[UUID]


def show(call: Invocation, options: Namespace) -> int:
    """Print it for the files, keys or the branch that were asked for."""
    if options.words and (options.all or options.key or options.branch):
        raise UserError(
            "Can only specify one of file names, --all, --branch, --unused, --failed --key, or --incomplete"
        )
    annex = call.fresh_annex()
    history = _History(annex, options)
    writer = _Writer(call, annex, options)
    if options.all:
        for change in history.changes():
            writer.tell(Item(change.key), history.step(change))
        return call.finish()
    for item in seek(call, options):
        for step in history.of(item.key):
            writer.tell(item, step)
    return call.finish()


class _History:
    def __init__(self, annex: AnnexState, options: Namespace) -> None:
        self._annex = annex
        self._limits = [
            f"--{name.replace('_', '-')}={value}".encode() for name in PASSED_ON if (value := getattr(options, name))
        ]

    def of(self, key: Key) -> Iterator[Step]:
        """All changes of one key, newest first; each is compared with the one before it."""
        changes = list(self.changes(key))
        if not changes:
            return
        states = [self._present(change.new) for change in changes] + [self._present(changes[-1].old)]
        for change, now, before in zip(changes, states, states[1:], strict=False):
            yield Step(change.time, now, before)

    def step(self, change: LogChange) -> Step:
        """One change by itself."""
        return Step(change.time, self._present(change.new), self._present(change.old))

    def changes(self, key: Key | None = None) -> Iterator[LogChange]:
        """Changes of one location log, or of all, newest first."""
        levels = self._annex.layout.branch_levels
        path = [] if key is None else [b"--remove-empty"]
        names = [] if key is None else [location_log(key, levels)]
        listing = self._annex.repo.run(
            b"log", b"-z", b"--pretty=format:%ct", b"--raw", b"--no-abbrev", b"--no-renames",
            *path, *self._limits, BRANCH, b"--", *names,
        )  # fmt: skip
        return _parse(listing, levels)

    def _present(self, oid: Oid) -> frozenset[UUID]:
        data = None if oid == ZERO else self._annex.objects.read_blob(oid)
        return frozenset() if data is None else frozenset(present(data))


def _parse(listing: bytes, levels: int) -> Iterator[LogChange]:
    """What `git log -z --raw --pretty=format:%ct` prints: a time before the first file of each commit."""
    when = 0
    fields = iter(listing.split(b"\0"))
    for field in fields:
        head, newline, rest = field.partition(b"\n")
        if newline or head.isdigit():
            when = int(head)
        info = rest if newline else head
        if not info.startswith(b":"):
            continue
        _, _, old, new, _ = info.split(b" ")
        key = key_of_location_log(next(fields), levels)
        if key is not None:
            yield LogChange(when, Oid(bytes.fromhex(old.decode())), Oid(bytes.fromhex(new.decode())), key)


class _Writer:
    def __init__(self, call: Invocation, annex: AnnexState, options: Namespace) -> None:
        self._call = call
        self._names = Names(annex)
        self._described = annex.settings.descriptions
        self._is_raw = options.raw_date
        self._is_gource = options.gource

    def tell(self, item: Item, step: Step) -> None:
        """What came, then what went."""
        for sign, uuids in (("+", step.now - step.before), ("-", step.before - step.now)):
            if self._call.reporter.wants_records:
                self._record(item, step.time, sign, sorted(uuids))
                continue
            for uuid in sorted(uuids):
                self._call.reporter.line(self._line(item, step.time, sign, uuid).encode("utf-8", "surrogateescape"))

    def _line(self, item: Item, when: int, sign: str, uuid: UUID) -> str:
        what = display(item.shown if item.shown is not None else bytes(item.key))
        name = self._name(uuid) or display(uuid)
        if self._is_gource:
            return f"{when}|{name}|{'A' if sign == '+' else 'M'}|{what}\n"
        moment = str(when) if self._is_raw else time.strftime("%a, %e %b %Y %H:%M:%S %Z", time.localtime(when))
        return f"{sign} {moment} {what} | {display(uuid)} -- {name}\n"

    def _name(self, uuid: UUID) -> str:
        name = self._names.plain(uuid)
        return name if uuid in self._described else name.removeprefix("[").removesuffix("]")

    def _record(self, item: Item, when: int, sign: str, uuids: list[UUID]) -> None:
        given = (display(item.shown),) if item.shown is not None else ()
        action = self._call.reporter.begin("log", file=item.shown, key=item.key, given=given)
        locations: list[Json] = [
            {"uuid": display(uuid), "description": self._name(uuid), "here": self._names.is_here(uuid)}
            for uuid in uuids
        ]
        action.field("logged", "addition" if sign == "+" else "removal")
        action.field("date", str(when))
        action.field("locations", locations)
        action.succeed()
