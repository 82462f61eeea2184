"""Another repository on this machine, reached by its path."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from annexd.annex import arrival_notes
from annexd.annex.differences import REMEDY
from annexd.annex.layout import RepoLayout
from annexd.annex.location_log import Presence
from annexd.annex.objects import ObjectStore
from annexd.annex.state import AnnexState
from annexd.annex.store_place import StorePlace
from annexd.errors import (
    AnnexError,
    ConfigError,
    ContentMissing,
    NoSpace,
    RemoteRefused,
    RemoteUnavailable,
    RepositoryError,
    TransferFailed,
)
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.remotes.contract import Accept, Meter, RemoteSpec, SmallResult, Verified
from annexd.remotes.copy_worker import CopyWorker, Meanwhile, Target
from annexd.remotes.object_copy import check_bytes, copy_object, opened_object, read_object
from annexd.threads.faults import reach

GONE = frozenset((errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT))
FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
MAX_SMALL = 16 << 20    # bytes; a small content that is longer than this is not read into memory
WORTH_BRINGING = 16     # objects, from which on a process is started to bring more of them here

Fingerprint = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Peer:
    """The other repository as it was when we looked at it; `marks` tell whether it still is that one."""

    state: AnnexState
    store: ObjectStore
    config_file: bytes
    marks: Fingerprint
    worker: CopyWorker

    def close(self) -> None:
        self.worker.close()
        self.state.close()


class LocalGitRemote:
    """A git repository by path, bare or not. Each use first makes sure that it is still the repository we know.

    Where our own git-annex branch cannot be pushed to it, what it gets is noted in its own location log.
    """

    def __init__(self, spec: RemoteSpec) -> None:
        self._spec = spec
        self._peer: _Peer | None = None
        self._bringer: CopyWorker | None = None

    @property
    def spec(self) -> RemoteSpec:
        """Its description."""
        return self._spec

    def has_key(self, key: Key) -> bool:
        """Whether the content is there now."""
        with self._connected() as peer:
            return peer.store.is_present(key)

    def has_keys(self, keys: Iterable[Key]) -> frozenset[Key]:
        """Those of the keys whose content is there now."""
        with self._connected() as peer:
            return frozenset(key for key in keys if peer.store.is_present(key))

    def store(self, key: Key, source: bytes, meter: Meter) -> None:
        """Copy a file into the other repository's objects, by way of its own place for partial downloads."""
        self._refuse_if_readonly()
        with self._connected() as peer, _opened_here(key, source) as source_fd:
            if peer.store.is_present(key):
                return
            dest_fd, temp = peer.store.open_temp(key)
            try:
                peer.store.check_reserve(os.fstat(source_fd).st_size, already=os.fstat(dest_fd).st_size)
                copy_object(source_fd, dest_fd, key, meter, verify=Verified.YES)
            finally:
                os.close(dest_fd)
            reach("upload-before-placed")
            peer.store.put_file(temp, key)
            self._note(peer, [(key, Presence.PRESENT)])

    def store_small(self, batch: Sequence[tuple[Key, bytes]]) -> list[SmallResult]:
        """Copy small files into the other repository's objects."""
        self._refuse_if_readonly()
        with self._connected() as peer:
            peer.store.check_reserve(sum(key.size or 0 for key, _ in batch))
            put = peer.store.put_bytes

            def give(key: Key, source: bytes) -> None:
                put(_read_small(key, source, _ours_is_gone), key)
                reach("upload-small")

            results = [(key, self._attempt(give, key, source)) for key, source in batch]
            self._given(peer, [key for key, error in results if error is None])
            return results

    def copy_small(self, source: RepoLayout, keys: Sequence[Key]) -> frozenset[Key]:
        """Have another process copy small objects, if there are many."""
        self._refuse_if_readonly()
        with self._connected() as peer:
            peer.store.check_reserve(sum(key.size or 0 for key in keys))
            copied = peer.worker.copy(source, keys)
            self._given(peer, copied)
            return copied

    def retrieve(self, key: Key, dest: bytes, meter: Meter) -> Verified:
        """Copy an object of the other repository into a file."""
        verify = Verified.YES if self._spec.config.verify else Verified.NO
        with self._connected() as peer:
            path = peer.store.locate(key)
            if path is None:
                raise self._missing(key)
            with opened_object(path) as source_fd:
                _copy_to_file(source_fd, dest, key, meter, verify)
        return verify

    def retrieve_small(self, keys: Sequence[Key], accept: Accept) -> list[SmallResult]:
        """Read small objects of the other repository."""
        with self._connected() as peer:
            locate = peer.store.locate

            def get(key: Key, _: bytes) -> None:
                path = locate(key)
                if path is None:
                    raise self._missing(key)
                accept(key, _read_small(key, path, self._missing))

            return [(key, self._attempt(get, key, b"")) for key in keys]

    def bring_small(
        self, dest: StorePlace, keys: Sequence[Key], meanwhile: Meanwhile | None
    ) -> frozenset[Key]:  # fmt: skip
        """Have another process bring small objects here, if there are many."""
        with self._connected() as peer:
            target = Target(dest, MAX_SMALL)
            if self._bringer is None or self._bringer.target != target:
                self._end_bringer()
                self._bringer = CopyWorker(target, worth_a_start=WORTH_BRINGING)
            return self._bringer.copy(peer.state.layout, keys, meanwhile)

    def remove(self, key: Key) -> None:
        """Remove the content there, under that repository's own lock."""
        self._refuse_if_readonly()
        with self._connected() as peer:
            try:
                with peer.store.lock_for_drop(key):
                    peer.store.remove(key)
            except ContentMissing:
                return
            self._note(peer, [(key, Presence.MISSING)])

    @contextmanager
    def lock_content(self, key: Key) -> Iterator[None]:
        """Keep the content there while the block runs."""
        with self._connected() as peer:
            lock = peer.store.lock_shared(key)
            lock.__enter__()
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def transfer_layout(self) -> RepoLayout:
        """Where the other repository has its notes of transfers."""
        with self._connected() as peer:
            return peer.state.layout

    def close(self) -> None:
        """Forget what we know of the other repository."""
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()
        self._end_bringer()

    # helpers

    def _end_bringer(self) -> None:
        bringer, self._bringer = self._bringer, None
        if bringer is not None:
            bringer.close()

    @contextmanager
    def _connected(self) -> Iterator[_Peer]:
        """The other repository, proved to be the right one just now. System errors become errors of the remote."""
        peer = self._peer
        if peer is None or _marks(peer.config_file, peer.state.layout) != peer.marks:
            self.close()
            peer = self._peer = self._open()
        try:
            yield peer
        except OSError as error:
            raise self._translated(error) from error

    def _open(self) -> _Peer:
        state = self._open_state()
        try:
            if self._spec.uuid is not None and state.uuid != self._spec.uuid:
                raise RemoteUnavailable(
                    f"{self._where()} is now another repository, {display(state.uuid)}",
                    hint=f"mount the right drive there, or unset remote.{self._spec.name}.annex-uuid to take this one",
                )
            config_file = state.layout.common_dir + b"/config"
            marks = _marks(config_file, state.layout)
        except BaseException:
            state.close()
            raise
        worker = CopyWorker(Target(StorePlace.of(state.layout, state.config), MAX_SMALL))
        return _Peer(state, state.store, config_file, marks, worker)

    def _open_state(self) -> AnnexState:
        path = self._spec.path
        if path is None or not os.path.isdir(path):
            raise RemoteUnavailable(f"{self._where()} is not there", hint="is its drive mounted?")
        try:
            state = AnnexState.open(path)
        except (RepositoryError, ConfigError) as error:
            raise RemoteUnavailable(f"{self._where()} cannot be used: {error.message}", hint=error.hint) from error
        except OSError as error:
            raise self._translated(error) from error
        # discovery goes upwards: below the mount point of a missing drive it could find a repository further up
        if not _is_at(path, state):
            state.close()
            raise RemoteUnavailable(f"{self._where()} is not a git repository", hint="is its drive mounted?")
        if set(state.config.tunings) != set(self._spec.tunings):
            state.close()
            raise RemoteRefused(f"{self._where()} is tuned otherwise than this repository", hint=REMEDY)
        return state

    def _given(self, peer: _Peer, keys: Collection[Key]) -> None:
        arrival_notes.leave(peer.state.layout, keys)
        self._note(peer, [(key, Presence.PRESENT) for key in keys])

    def _note(self, peer: _Peer, changes: Sequence[tuple[Key, Presence]]) -> None:
        """Write its own location log, when no push of ours will."""
        config = self._spec.config
        if config.push and config.sync:
            return
        state = peer.state
        state.locations.record_many([(key, state.uuid, presence) for key, presence in changes])

    def _attempt(self, act: Callable[[Key, bytes], None], key: Key, source: bytes) -> AnnexError | None:
        """One of many; its own failure is returned, one of the whole remote is raised."""
        try:
            act(key, source)
        except AnnexError as error:
            return error
        except OSError as error:
            translated = self._translated(error)
            if isinstance(translated, RemoteUnavailable | RemoteRefused):
                raise translated from error
            return translated
        return None

    def _translated(self, error: OSError) -> AnnexError:
        peer = self._peer
        text = f"{self._where()}: {error.strerror or error}"
        if error.errno in GONE or (peer is not None and _marks(peer.config_file, peer.state.layout) != peer.marks):
            return RemoteUnavailable(text, hint="is its drive mounted?")
        if error.errno in FULL:
            return NoSpace(text)
        if error.errno == errno.EROFS:
            return RemoteUnavailable(text, hint="mount it so that it can be written to")
        if error.errno in (errno.EACCES, errno.EPERM):
            return RemoteRefused(text, hint="who may read and write there?")
        return TransferFailed(text)

    def _refuse_if_readonly(self) -> None:
        if self._spec.config.readonly:
            raise RemoteRefused(f"remote {self._spec.name} is set to read-only", hint="see annex-readonly")

    def _missing(self, key: Key) -> ContentMissing:
        return ContentMissing(f"remote {self._spec.name} does not have the content of {key}")

    def _where(self) -> str:
        return f"remote {self._spec.name} ({display(self._spec.path or b'')})"


def _marks(config_file: bytes, layout: RepoLayout) -> Fingerprint:
    """What changes when another repository takes this one's place, or its settings change; () when it is gone."""
    try:
        config, annex = os.stat(config_file), os.stat(layout.annex_dir)
    except OSError:
        return ()
    return (config.st_dev, config.st_ino, config.st_mtime_ns, annex.st_dev, annex.st_ino)


def _is_at(path: bytes, state: AnnexState) -> bool:
    places = (state.repo.work_tree, state.repo.git_dir)
    return any(place is not None and os.path.samefile(path, place) for place in places)


@contextmanager
def _opened_here(key: Key, source: bytes) -> Iterator[int]:
    with ExitStack() as opened:
        try:
            fd = opened.enter_context(opened_object(source))
        except OSError as error:
            raise _ours_is_gone(key) from error
        yield fd


def _ours_is_gone(key: Key) -> ContentMissing:
    return ContentMissing(f"the content of {key} is not here any more")


def _read_small(key: Key, path: bytes, missing: Callable[[Key], ContentMissing]) -> bytes:
    try:
        data = read_object(path, MAX_SMALL)
    except FileNotFoundError as error:
        raise missing(key) from error
    check_bytes(key, data)
    return data


def _copy_to_file(source_fd: int, dest: bytes, key: Key, meter: Meter, verify: Verified) -> None:
    """Copy into a file of ours; what goes wrong with it is not the remote's fault."""
    try:
        dest_fd = os.open(dest, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise TransferFailed(f"cannot write {display(dest)}: {error.strerror}") from error
    try:
        copy_object(source_fd, dest_fd, key, meter, verify=verify)
    except OSError as error:
        if error.errno in FULL:
            raise NoSpace(f"{display(dest)}: {error.strerror}", hint="free some space") from error
        raise
    finally:
        os.close(dest_fd)
