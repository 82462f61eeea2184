"""Many small contents at once, which look as if each had been moved by itself.

What does not go well in a batch is handed back when its turn comes: it is tried once more alone, in the way that tells
people all about it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, suppress

from annexd.annex.state import AnnexState
from annexd.cli.content import Arrivals, Remotes
from annexd.cli.reporters.contract import Action
from annexd.cli.seek import Item
from annexd.errors import RemoteError
from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.transfer import small_batch
from annexd.transfer.job import Result, Transfer
from annexd.transfer.meter import TransferMeter

Acting = Callable[[Item], AbstractContextManager[Action]]
SourceOf = Callable[[Item, Collection[UUID]], RemoteSpec | None]
After = Callable[[AnnexState, Item, Action], None]


def fetch_many(
    remotes: Remotes,
    annex: AnnexState,
    items: Sequence[Item],
    source_of: SourceOf,
    acting: Acting,
    arrivals: Arrivals,
    after: After | None = None,
) -> Iterator[Item]:
    """Get the contents from the remotes that `source_of` names, by where they are; those that did not come.

    `after` is done to each that came, as part of its action.
    """
    logs = annex.locations.locations_many([item.key for item in items])
    by_source: dict[str, tuple[RemoteSpec, list[Item]]] = {}
    for item in items:
        spec = source_of(item, logs.get(item.key, frozenset()))
        if spec is not None and spec.available and spec.name not in remotes.out_of_reach:
            by_source.setdefault(spec.name, (spec, []))[1].append(item)
    came: dict[Key, RemoteSpec] = {}
    for spec, batch in by_source.values():
        done = _move(remotes, annex, spec, Direction.DOWNLOAD, batch)
        came |= dict.fromkeys(done, spec)
        remotes.news.here(done)
    for item in items:
        source = came.get(item.key)
        if source is None:
            yield item
            continue
        with acting(item) as action:
            _tell(action, f"from {source.name}...", item)
            arrivals.add(annex, item.key)
            if after is not None:
                after(annex, item, action)
    remotes.news.record_when_due(annex)


def send_many(
    remotes: Remotes,
    annex: AnnexState,
    items: Sequence[Item],
    spec: RemoteSpec,
    acting: Acting,
    may: Callable[[Item], bool],
    after: After | None = None,
    when_sent: Callable[[], None] = lambda: None,
) -> Iterator[Item]:
    """Give the remote those of the contents that it lacks and that `may` be sent; all other items.

    `when_sent` is called once all are there, then `after` for each.
    """
    lacking: list[Item] = []
    with suppress(RemoteError):
        chosen = [item for item in items if may(item)]
        there = remotes.live(annex, spec).has_keys(item.key for item in chosen)
        lacking = [item for item in chosen if item.key not in there]
    done = frozenset(_move(remotes, annex, spec, Direction.UPLOAD, lacking))
    if spec.uuid is not None:
        remotes.news.there(list(done), spec.uuid)
    when_sent()
    for item in items:
        if item.key not in done:
            yield item
            continue
        with acting(item) as action:
            _tell(action, f"to {spec.name}...", item)
            if after is not None:
                after(annex, item, action)
    remotes.news.record_when_due(annex)


def _move(
    remotes: Remotes, annex: AnnexState, spec: RemoteSpec, direction: Direction, items: Sequence[Item]
) -> list[Key]:
    """The keys that were transferred."""
    keys = [item.key for item in items]
    if not keys:
        return []
    try:
        remote = remotes.live(annex, spec)
    except RemoteError:
        return []
    with remotes.transfer(remote, direction, sum(key.size or 0 for key in keys)) as meter:
        if _is_slow(meter, items):
            return []
        if direction is Direction.UPLOAD:
            outcomes = small_batch.upload(annex, remote, keys, meter)
        else:
            remotes.news.expect(keys)
            outcomes = small_batch.download(annex, remote, keys, meter)
    done = [item for item, outcome in zip(items, outcomes, strict=True) if outcome.result is Result.TRANSFERRED]
    if spec.uuid is not None:
        for item in done:
            remotes.failures.done(Transfer(direction, spec.uuid, item.key))
    return [item.key for item in done]


def _is_slow(meter: TransferMeter, items: Sequence[Item]) -> bool:
    """Whether the speed is limited so much that even these should go piece by piece."""
    return meter.is_limited and any((item.key.size or 0) > meter.step for item in items)


def _tell(action: Action, note: str, item: Item) -> None:
    action.note(note)
    action.progress(item.key.size or 0, item.key.size)
