"""One transfer from beginning to end, for slots and for commands alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from annexd.annex.state import AnnexState
from annexd.errors import (
    AnnexError,
    ContentMissing,
    RefusedError,
    TransferCancelled,
    TransferFailed,
    TransferInProgress,
    VerificationFailed,
)
from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.remotes.contract import Remote, SharesTransferNotes, Verified
from annexd.remotes.object_copy import Check
from annexd.system import files
from annexd.threads.faults import reach
from annexd.transfer import small_batch
from annexd.transfer.job import SMALL, Outcome, Result
from annexd.transfer.locks import OPPOSITE, InfoFile, announced
from annexd.transfer.meter import StopReason, TransferMeter


def upload(
    state: AnnexState, remote: Remote, key: Key, file: bytes | None = None, *, meter: TransferMeter | None = None
) -> Outcome:
    """Give `remote` the content of `key`. Blocks; never raises for what can go wrong with a transfer.

    Does not touch the location log: whoever calls records it, for many at once.
    """
    if is_small(key, meter):
        return small_batch.upload(state, remote, [key], meter)[0]
    return _guarded(remote.spec.uuid, meter, lambda watch: _upload(state, remote, key, file, watch))


def upload_file(
    state: AnnexState,
    remote: Remote,
    key: Key,
    source: bytes,
    file: bytes | None = None,
    *,
    meter: TransferMeter | None = None,
) -> Outcome:
    """Give `remote` the content of `key` from a file that is no object; otherwise as `upload`."""
    return _guarded(remote.spec.uuid, meter, lambda watch: _send(state, remote, key, source, file, watch))


def fetch_to_temp(
    state: AnnexState, remote: Remote, key: Key, file: bytes | None = None, *, meter: TransferMeter | None = None
) -> Outcome:
    """Get the content of `key` into the place of partial downloads only; otherwise as `download`."""

    def act(watch: TransferMeter) -> Result:
        check_secure(state, key)
        with _announced_on_both_sides(state, Direction.DOWNLOAD, remote, key, file) as infos:
            _retrieve(state, remote, key, infos, watch)
        return Result.TRANSFERRED

    return _guarded(remote.spec.uuid, meter, act)


def download(
    state: AnnexState,
    remotes: Iterable[Remote],
    key: Key,
    file: bytes | None = None,
    *,
    meter: TransferMeter | None = None,
) -> Outcome:
    """Get the content of `key` from the first of `remotes` that gives it. Blocks; never raises, as `upload`.

    Work tree files are not filled: that needs locks that a slot does not have.
    """
    outcome = Outcome(Result.NO_SOURCE)
    for remote in remotes:
        if is_small(key, meter):
            outcome = small_batch.download(state, remote, [key], meter)[0]
        else:
            outcome = _guarded(remote.spec.uuid, meter, lambda watch, r=remote: _download(state, r, key, file, watch))  # type: ignore[misc]
        if outcome.result is not Result.FAILED or isinstance(outcome.error, RefusedError):
            break
    return outcome


def _upload(state: AnnexState, remote: Remote, key: Key, file: bytes | None, meter: TransferMeter) -> Result:
    source = state.store.locate(key)
    if source is None:
        raise ContentMissing(f"the content of {key} is not here")
    return _send(state, remote, key, source, file, meter)


def _send(
    state: AnnexState, remote: Remote, key: Key, source: bytes, file: bytes | None, meter: TransferMeter
) -> Result:
    with _announced_on_both_sides(state, Direction.UPLOAD, remote, key, file) as infos:
        if remote.has_key(key):
            return Result.ALREADY_THERE
        remote.store(key, source, _Watch(meter, infos))
    return Result.TRANSFERRED


def _download(state: AnnexState, remote: Remote, key: Key, file: bytes | None, meter: TransferMeter) -> Result:
    if state.store.is_present(key):
        return Result.ALREADY_THERE
    check_secure(state, key)
    with _announced_on_both_sides(state, Direction.DOWNLOAD, remote, key, file) as infos:
        if state.store.is_present(key):     # it came while we got the lock
            return Result.ALREADY_THERE
        state.store.put_file(_retrieve(state, remote, key, infos, meter), key)
    return Result.TRANSFERRED


def _retrieve(state: AnnexState, remote: Remote, key: Key, infos: list[InfoFile], meter: TransferMeter) -> bytes:
    """The file with the whole content, verified where that is wished."""
    fd, temp = state.store.open_temp(key)
    try:
        state.store.check_reserve(key.size, already=os.fstat(fd).st_size)
    finally:
        os.close(fd)
    if remote.retrieve(key, temp, _Watch(meter, infos)) is Verified.NO and remote.spec.config.verify:
        _verify_file(temp, key)
    return temp


def check_secure(state: AnnexState, key: Key) -> None:
    """Raise RefusedError for a key whose hash can be forged, where annex.securehashesonly forbids it."""
    if state.config.secure_hashes_only and not small_batch.is_secure(key):
        raise RefusedError(f"annex.securehashesonly blocked the transfer of {key}")


class _Watch:
    """Tells the meter and the information files."""

    def __init__(self, meter: TransferMeter, infos: list[InfoFile]) -> None:
        self._meter = meter
        self._infos = infos

    @property
    def step(self) -> int:
        return self._meter.step

    @property
    def has_core_to_spare(self) -> bool:
        return self._meter.has_core_to_spare

    def start_at(self, done: int) -> None:
        self._meter.start_at(done)

    def update(self, done: int) -> None:
        reach("transfer-half")
        self._meter.update(done)
        for info in self._infos:
            info.update(done)


@contextmanager
def _announced_on_both_sides(
    state: AnnexState, direction: Direction, remote: Remote, key: Key, file: bytes | None
) -> Iterator[list[InfoFile]]:
    """The transfer's lock and note here; and there, where that is a repository that we can write to."""
    uuid = remote.spec.uuid
    if uuid is None:
        raise TransferFailed(f"remote {remote.spec.name} has no uuid")
    with ExitStack() as held:
        infos = [held.enter_context(announced(state.layout, direction, uuid, key, file=file))]
        if isinstance(remote, SharesTransferNotes):
            there = remote.transfer_layout()
            with suppress(OSError):     # a place that only lets us read has nobody to tell
                infos.append(held.enter_context(announced(there, OPPOSITE[direction], state.uuid, key, file=file)))
        yield infos


def _guarded(uuid: UUID | None, meter: TransferMeter | None, act: Callable[[TransferMeter], Result]) -> Outcome:
    """The result of `act`, or what its failure means."""
    watch = meter or TransferMeter()
    try:
        return Outcome(act(watch), uuid)
    except TransferInProgress as error:
        return Outcome(Result.IN_PROGRESS, uuid, error)
    except TransferCancelled as error:
        paused = watch.stopped is StopReason.PAUSED
        return Outcome(Result.PAUSED if paused else Result.CANCELLED, uuid, error)
    except AnnexError as error:
        return Outcome(Result.FAILED, uuid, error)
    except OSError as error:
        return Outcome(Result.FAILED, uuid, small_batch.local_failure(error))


def _verify_file(path: bytes, key: Key) -> None:
    check = Check(key)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = 0
        while data := os.read(fd, files.CHUNK):
            check.update(data)
            size += len(data)
    finally:
        os.close(fd)
    try:
        check.finish(size)
    except VerificationFailed:
        os.unlink(path)
        raise


def is_small(key: Key, meter: TransferMeter | None = None) -> bool:
    """Whether the content is moved in one piece, and may be with others: where speed is limited, only few bytes are."""
    if key.size is None or key.size > SMALL:
        return False
    return meter is None or not meter.is_limited or key.size <= meter.step
