"""Many small contents to or from one remote, with as little work for each as can be.

No lock and no information file is made for a content that moves in less than a millisecond; one look at the transfer
directories tells what other processes are moving. Should one begin with the same key meanwhile, both write the same
content, and it gets its name by a rename: the second changes nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from annexd.annex.state import AnnexState
from annexd.annex.store_place import StorePlace
from annexd.backends import registry as backends
from annexd.errors import (
    AnnexError,
    ContentMissing,
    NoSpace,
    RefusedError,
    TransferCancelled,
    TransferError,
    TransferFailed,
    TransferInProgress,
)
from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.remotes.contract import Accept, BringsObjects, CopiesObjects, Remote, SharesTransferNotes, SmallResult
from annexd.transfer.job import Outcome, Result
from annexd.transfer.locks import OPPOSITE, busy_keys
from annexd.transfer.meter import StopReason, TransferMeter

PIECE_BYTES = 4 << 20
PIECE_FILES = 256


def upload(
    state: AnnexState, remote: Remote, keys: Sequence[Key], meter: TransferMeter | None = None
) -> list[Outcome]:
    """Give `remote` the contents of the keys; one outcome for each, in order. Blocks; never raises for a transfer.

    `meter` counts the bytes of all of them together.
    """
    watch = meter or TransferMeter()
    wanted: list[Key] = []

    def prepare(key: Key) -> None:
        wanted.append(key)

    def act() -> Iterator[SmallResult]:
        for piece in _pieces(wanted, watch):
            copied = remote.copy_small(state.layout, piece) if isinstance(remote, CopiesObjects) else frozenset()
            yield from ((key, None) for key in copied)
            if len(copied) < len(piece):
                yield from _give(state, remote, [key for key in piece if key not in copied])
            watch.update(watch.done + sum(key.size or 0 for key in piece))

    return _run(state, remote, Direction.UPLOAD, keys, prepare, act, watch)


def download(
    state: AnnexState, remote: Remote, keys: Sequence[Key], meter: TransferMeter | None = None
) -> list[Outcome]:
    """Get the contents of the keys from `remote`; otherwise as `upload`."""
    wanted: list[Key] = []
    store = state.store
    watch = meter or TransferMeter()
    secure_only = state.config.secure_hashes_only

    def prepare(key: Key) -> Outcome | None:
        if store.is_present(key):
            return Outcome(Result.ALREADY_THERE, remote.spec.uuid)
        if secure_only and not is_secure(key):
            return _failed(remote, RefusedError(f"annex.securehashesonly blocked the transfer of {key}"))
        wanted.append(key)
        return None

    def accept(key: Key, data: bytes) -> None:
        watch.check()
        try:
            store.put_bytes(data, key)
        except OSError as error:
            raise local_failure(error) from error
        with suppress(TransferError):       # this one is there; `check` stops the next
            watch.update(watch.done + len(data))

    def act() -> Iterator[SmallResult]:
        store.check_reserve(sum(key.size or 0 for key in wanted))
        if not isinstance(remote, BringsObjects):
            yield from remote.retrieve_small(wanted, accept)
            return
        place = StorePlace.of(state.layout, state.config)
        for piece in _pieces(wanted, watch):
            yield from _bring(remote, place, piece, accept, watch)

    return _run(state, remote, Direction.DOWNLOAD, keys, prepare, act, watch)


def _bring(
    remote: BringsObjects, place: StorePlace, keys: Sequence[Key], accept: Accept, watch: TransferMeter
) -> Iterator[SmallResult]:
    """Another process takes all of them, or half where this thread would have a processor to itself meanwhile."""
    results: dict[Key, AnnexError | None] = {}

    def retrieve(some: Sequence[Key]) -> None:
        results.update(remote.retrieve_small(some, accept))

    watch.check()
    brought = remote.bring_small(place, keys, retrieve if watch.has_core_to_spare else None)
    if brought:
        with suppress(TransferError):       # these are there; `check` stops the next
            watch.update(watch.done + sum(key.size or 0 for key in brought))
    retrieve([key for key in keys if key not in brought and key not in results])
    for key in keys:
        yield key, results.get(key)


def _give(state: AnnexState, remote: Remote, keys: Sequence[Key]) -> Iterator[SmallResult]:
    batch: list[tuple[Key, bytes]] = []
    for key in keys:
        try:
            source = state.store.locate(key)
        except AnnexError as error:
            yield key, error
            continue
        if source is None:
            yield key, ContentMissing(f"the content of {key} is not here")
        else:
            batch.append((key, source))
    if batch:
        yield from remote.store_small(batch)


def is_secure(key: Key) -> bool:
    """Whether nobody can make other content that has this key."""
    backend = backends.backend(key.backend)
    return backend is not None and backend.is_cryptographically_secure


def local_failure(error: OSError) -> AnnexError:
    """What an error of our own disk means for a transfer."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(f"this disk is full: {error.strerror}", hint="free some space")
    return TransferFailed(str(error))


def _run(
    state: AnnexState,
    remote: Remote,
    direction: Direction,
    keys: Sequence[Key],
    prepare: Callable[[Key], Outcome | None],
    act: Callable[[], Iterable[SmallResult]],
    watch: TransferMeter,
) -> list[Outcome]:
    uuid = remote.spec.uuid
    outcomes: dict[Key, Outcome] = {}
    try:
        busy = _busy(state, remote, direction)
        for key in keys:
            early = _in_progress(remote, key) if busy and key.file_name() in busy else _guarded(prepare, key, remote)
            if early is not None:
                outcomes[key] = early
        done = Outcome(Result.TRANSFERRED, uuid)
        for key, error in act() if len(outcomes) < len(keys) else ():
            outcomes[key] = done if error is None else _ended(remote, error, watch)
    except AnnexError as error:
        return [outcomes.get(key) or _ended(remote, error, watch) for key in keys]
    except OSError as error:
        return [outcomes.get(key) or _failed(remote, local_failure(error)) for key in keys]
    return [outcomes[key] for key in keys]


def _busy(state: AnnexState, remote: Remote, direction: Direction) -> frozenset[bytes]:
    uuid = remote.spec.uuid
    if uuid is None:
        raise TransferFailed(f"remote {remote.spec.name} has no uuid")
    here = busy_keys(state.layout, direction, uuid)
    if not isinstance(remote, SharesTransferNotes):
        return here
    return here | _busy_there(remote, OPPOSITE[direction], state.uuid)


def _busy_there(remote: SharesTransferNotes, direction: Direction, us: UUID) -> frozenset[bytes]:
    try:
        return busy_keys(remote.transfer_layout(), direction, us)
    except OSError:     # what we may not look at cannot hinder us
        return frozenset()


def _guarded(prepare: Callable[[Key], Outcome | None], key: Key, remote: Remote) -> Outcome | None:
    try:
        return prepare(key)
    except AnnexError as error:
        return _failed(remote, error)


def _pieces(keys: Sequence[Key], watch: TransferMeter) -> Iterator[Sequence[Key]]:
    """Parts of a batch that go in one call: few bytes where the speed is limited."""
    start = 0
    while start < len(keys):
        room = watch.step if watch.is_limited else PIECE_BYTES
        end = start
        while end < len(keys) and end - start < PIECE_FILES and (end == start or room >= (keys[end].size or 0)):
            room -= keys[end].size or 0
            end += 1
        yield keys[start:end]
        start = end


def _ended(remote: Remote, error: AnnexError, watch: TransferMeter) -> Outcome:
    """What an error means that may be our own wish to stop."""
    if isinstance(error, TransferCancelled):
        paused = watch.stopped is StopReason.PAUSED
        return Outcome(Result.PAUSED if paused else Result.CANCELLED, remote.spec.uuid, error)
    return _failed(remote, error)


def _failed(remote: Remote, error: AnnexError) -> Outcome:
    return Outcome(Result.FAILED, remote.spec.uuid, error)


def _in_progress(remote: Remote, key: Key) -> Outcome:
    return Outcome(Result.IN_PROGRESS, remote.spec.uuid, TransferInProgress(f"another process transfers {key} already"))
