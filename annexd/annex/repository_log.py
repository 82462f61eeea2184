"""Changes to what the git-annex branch says about repositories as a whole. Each goes through the journal."""

from __future__ import annotations

from collections.abc import Iterable

from annexd.annex.state import AnnexState
from annexd.formats.logs import config, group, numcopies, trust, uuid_based
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID
from annexd.formats.vector_clock import VectorClock
from annexd.system.clock import SystemClock

UUID_LOG = b"uuid.log"
TRUST_LOG = b"trust.log"
GROUP_LOG = b"group.log"
WANTED_LOG = b"preferred-content.log"
REQUIRED_LOG = b"required-content.log"
NUMCOPIES_LOG = b"numcopies.log"
MINCOPIES_LOG = b"mincopies.log"
CONFIG_LOG = b"config.log"

STORABLE_CONFIG = (
    b"annex.addunlocked",
    b"annex.autocommit",
    b"annex.dotfiles",
    b"annex.largefiles",
    b"annex.resolvemerge",
    b"annex.securehashesonly",
    b"annex.synccontent",
    b"annex.synconlyannex",
)
"""Settings that config.log may hold. Source: git-annex, `git annex config`."""


def describe(annex: AnnexState, uuid: UUID, text: bytes) -> None:
    """Set the description of a repository."""
    annex.branch.change(UUID_LOG, lambda data: uuid_based.set_value(data, uuid, text, _now()), about=uuid)


def set_trust(annex: AnnexState, uuid: UUID, level: TrustLevel) -> None:
    """Set how far a repository is trusted; a dead one also leaves its groups."""
    annex.branch.change(TRUST_LOG, lambda data: trust.set_trust(data, uuid, level, _now()), about=uuid)
    if level is TrustLevel.DEAD:
        set_groups(annex, uuid, ())


def set_groups(annex: AnnexState, uuid: UUID, groups: Iterable[bytes]) -> None:
    """Set the groups that a repository is in."""
    annex.branch.change(GROUP_LOG, lambda data: group.set_groups(data, uuid, groups, _now()), about=uuid)


def set_expression(annex: AnnexState, log: bytes, uuid: UUID, expression: bytes) -> None:
    """Set the expression in WANTED_LOG or REQUIRED_LOG; an empty one means that none is set."""
    annex.branch.change(log, lambda data: uuid_based.set_value(data, uuid, expression, _now()), about=uuid)


def set_copies(annex: AnnexState, log: bytes, copies: int) -> None:
    """Set the number in NUMCOPIES_LOG or MINCOPIES_LOG."""
    annex.branch.change(log, lambda data: numcopies.set_copies(data, copies, _now()))


def set_config(annex: AnnexState, name: bytes, value: bytes) -> None:
    """Set a setting for all repositories; an empty value unsets it."""
    annex.branch.change(CONFIG_LOG, lambda data: config.set_setting(data, name, value, _now()))


def _now() -> VectorClock:
    return SystemClock().vector_now()
