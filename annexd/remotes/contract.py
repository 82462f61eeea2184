"""What a remote is: a frozen description that everybody may pass around, and a live one that one thread owns."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from annexd.annex.config import RemoteConfig
from annexd.annex.layout import RepoLayout
from annexd.annex.store_place import StorePlace
from annexd.errors import AnnexError
from annexd.formats.key import Key
from annexd.formats.uuid import UUID


class RemoteKind(enum.Enum):
    """How a remote is reached."""

    GIT_LOCAL = "git-local"     # a git repository on this machine, by path
    GIT_SSH = "git-ssh"         # a git repository elsewhere
    SPECIAL = "special"         # holds content only


@dataclass(frozen=True, slots=True)
class ContentSupport:
    """Whether annexd can move content to and from a remote; if not, `reason` is a sentence for people."""

    reason: str = ""

    @property
    def is_there(self) -> bool:
        """Whether content can be moved."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class RemoteSpec:
    """A remote as configured. Has no connection, so it can be looked at under any lock.

    `uuid` is None while nobody could ask the remote for it, or it is no annex. `cost` orders remotes, lower first.
    `path` is set for repositories on this machine: the work tree's top, or the bare repository. `available` says
    whether that path was there when the description was made; always True for what only a network could tell.
    `tunings` are the annex.tune.* settings that it must have, as we do.
    """

    name: str
    uuid: UUID | None
    kind: RemoteKind
    cost: float
    url: str | None
    path: bytes | None
    config: RemoteConfig
    available: bool
    content: ContentSupport
    tunings: tuple[str, ...] = ()

    @property
    def holds_content(self) -> bool:
        """Whether content is moved to or from it at all: it is an annex, supported, and not remote.N.annex-ignore."""
        return self.uuid is not None and self.content.is_there and not self.config.ignore


class Meter(Protocol):
    """Told of progress by whoever moves content; holds it back where that is wished."""

    @property
    def step(self) -> int:
        """How many bytes to move, at most, before the next `update`; may change meanwhile."""

    @property
    def has_core_to_spare(self) -> bool:
        """Whether a second thread for this transfer would find a processor that is free."""

    def start_at(self, done: int) -> None:
        """`done` bytes are in place from an earlier try, and were looked at now. Raises as `update`, never waits."""

    def update(self, done: int) -> None:
        """`done` bytes are in place. May wait, when the speed is limited.

        Raises TransferCancelled or TransferStalled when it is to end; then the partial file is kept for resuming.
        """


LONGEST_STEP = 4 << 20


class NoMeter:
    """For transfers nobody watches."""

    @property
    def step(self) -> int:
        """As much as is good for the copying."""
        return LONGEST_STEP

    @property
    def has_core_to_spare(self) -> bool:
        """As far as we know."""
        return True

    def start_at(self, done: int) -> None:
        """Nothing to tell."""

    def update(self, done: int) -> None:
        """Nothing to tell."""


class Verified(enum.Enum):
    """Whether content was checked against its key while it was moved."""

    YES = "yes"
    NO = "no"


SmallResult = tuple[Key, AnnexError | None]
Accept = Callable[[Key, bytes], None]


@runtime_checkable
class Remote(Protocol):
    """A live remote, owned by one thread; `close` alone may come from another one, and breaks a call that blocks.

    Nothing is connected before the first use. Every method may raise RemoteUnavailable, RemoteRefused or
    RemoteProtocolError. A key is visible at the remote only when it is there whole and verified.
    """

    @property
    def spec(self) -> RemoteSpec:
        """Its description."""

    def has_key(self, key: Key) -> bool:
        """Whether the remote has the content now. Raises UnsafeKey."""

    def has_keys(self, keys: Iterable[Key]) -> frozenset[Key]:
        """Those of the keys whose content the remote has now."""

    def store(self, key: Key, source: bytes, meter: Meter) -> None:
        """Give the remote the content of the file `source`; nothing happens when it has it.

        Continues what an earlier try left there. Raises NoSpace, VerificationFailed, ContentMissing (no such file),
        TransferCancelled.
        """

    def store_small(self, batch: Sequence[tuple[Key, bytes]]) -> list[SmallResult]:
        """Give the remote several small contents (key and file), with little cost for each.

        One result for each, in order; its error is None when the remote has the content now. Raises only when the
        remote as a whole cannot be used; some of the contents may have arrived all the same.
        """

    def retrieve(self, key: Key, dest: bytes, meter: Meter) -> Verified:
        """Write the content into the file `dest`, continuing after what it holds already.

        Raises ContentMissing when the remote has it not, VerificationFailed (then `dest` is empty or gone), NoSpace
        when the disk of `dest` is full, TransferCancelled.
        """

    def retrieve_small(self, keys: Sequence[Key], accept: Accept) -> list[SmallResult]:
        """Get several small contents; `accept` is called with each one that was verified, and may raise for it.

        Results and exceptions as of `store_small`.
        """

    def remove(self, key: Key) -> None:
        """Remove the content from the remote, where it is locked meanwhile; nothing happens when it is not there.

        The caller has proved that enough copies remain. Raises ContentLocked.
        """

    def lock_content(self, key: Key) -> AbstractContextManager[None]:
        """Keep the remote from losing the content while the block runs. Raises ContentMissing, ContentLocked."""

    def close(self) -> None:
        """Let go of everything; the next use connects again."""


@runtime_checkable
class CopiesObjects(Protocol):
    """A remote on this machine, which can be given contents without our reading them."""

    def copy_small(self, source: RepoLayout, keys: Sequence[Key]) -> frozenset[Key]:
        """Those of the keys whose small content was copied from the store of `source`, verified.

        The others are for `store_small`, which then tells what is wrong. Raises as that does.
        """


@runtime_checkable
class BringsObjects(Remote, Protocol):
    """A remote on this machine, whose contents can be brought without our reading them."""

    def bring_small(
        self, dest: StorePlace, keys: Sequence[Key], meanwhile: Callable[[Sequence[Key]], None] | None
    ) -> frozenset[Key]:
        """Those of the keys whose small content was copied into the store `dest`, verified.

        The others are for `retrieve_small`, which then tells what is wrong; `meanwhile`, if given, is called with some
        of them while the rest is copied. Raises as `retrieve_small` does, and what `meanwhile` raises.
        """


@runtime_checkable
class SharesTransferNotes(Protocol):
    """A remote whose notes of running transfers are files that we can reach."""

    def transfer_layout(self) -> RepoLayout:
        """Where that repository has its notes and locks of transfers."""
