"""Sums over keys and files: how much is here, how much is where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from annexd.annex.annexed_files import AnnexedFile
from annexd.annex.state import AnnexState
from annexd.formats.branch_paths import key_of_location_log
from annexd.formats.key import Key
from annexd.formats.logs import presence
from annexd.formats.uuid import UUID

_BATCH = 2000


@dataclass(slots=True)
class Sum:
    """A number of keys, and the bytes of those whose size is known."""

    keys: int = 0
    size: int = 0

    def add(self, key: Key) -> None:
        """Count one."""
        self.keys += 1
        self.size += key.size or 0


@dataclass(slots=True)
class FileSums:
    """What a set of annexed files comes to. `here` and `places` count each key once, `files` each file."""

    files: Sum = field(default_factory=Sum)
    here: Sum = field(default_factory=Sum)
    backends: Counter[bytes] = field(default_factory=Counter)
    places: dict[UUID, Sum] = field(default_factory=dict)
    copies: Counter[int] = field(default_factory=Counter)
    """How many files have so many copies."""


def sum_here(annex: AnnexState) -> Sum:
    """All content in the object store."""
    total = Sum()
    for key in annex.store.all_keys():
        total.add(key)
    return total


def sum_places(annex: AnnexState) -> dict[UUID, Sum]:
    """What each repository has, as far as location logs tell; reads them all."""
    places: dict[UUID, Sum] = {}
    paths = iter(annex.branch.paths())
    levels = annex.layout.branch_levels
    while batch := list(islice(paths, _BATCH)):
        keys = {path: key for path in batch if (key := key_of_location_log(path, levels)) is not None}
        for path, data in annex.branch.read_many(list(keys)).items():
            for uuid in presence.present(data):
                places.setdefault(uuid, Sum()).add(keys[path])
    return places


def sum_files(annex: AnnexState, files: Iterable[AnnexedFile], *, with_places: bool = False) -> FileSums:
    """Sums over files; `with_places` reads their location logs too."""
    sums = FileSums()
    seen: set[Key] = set()
    for batch in _batches(files):
        locations = annex.locations.locations_many({file.key for file in batch}) if with_places else {}
        for file in batch:
            sums.files.add(file.key)
            sums.backends[file.key.backend] += 1
            places = locations.get(file.key, frozenset())
            sums.copies[len(places)] += 1
            if file.key in seen:
                continue
            seen.add(file.key)
            if annex.store.is_present(file.key):
                sums.here.add(file.key)
            for uuid in places:
                sums.places.setdefault(uuid, Sum()).add(file.key)
    return sums


def sum_of(annex: AnnexState, uuid: UUID) -> Sum:
    """What one repository has, as far as location logs tell."""
    return sum_places(annex).get(uuid, Sum())


def _batches(files: Iterable[AnnexedFile]) -> Iterator[list[AnnexedFile]]:
    waiting = iter(files)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
