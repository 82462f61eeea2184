"""What --auto decides about one file, by numbers of copies and preferred content."""

from __future__ import annotations

from annexd.annex.state import AnnexState
from annexd.cli.seek import Item, wanted_copies
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID
from annexd.transfer.wanted import PreferredContent, is_required


def is_wanted_here(annex: AnnexState, item: Item) -> bool:
    """Whether --auto gets it: there are fewer copies than wanted, or this repository prefers to have it."""
    return is_wanted_at(annex, item, annex.uuid)


def is_wanted_at(annex: AnnexState, item: Item, uuid: UUID) -> bool:
    """The same for any repository."""
    return _spare_copies(annex, item) < 0 or _is_preferred(annex, item, uuid)


def may_drop_automatically(annex: AnnexState, item: Item, uuid: UUID) -> bool:
    """Whether --auto drops it: there are more copies than wanted, and the repository does not prefer to have it."""
    if _spare_copies(annex, item) <= 0 or _is_preferred(annex, item, uuid):
        return False
    return not is_required_at(annex, item, uuid)


def is_required_at(annex: AnnexState, item: Item, uuid: UUID) -> bool:
    """Whether the repository must have it."""
    return is_required(annex, uuid, item.key, item.file)


def _spare_copies(annex: AnnexState, item: Item) -> int:
    settings = annex.settings
    uncounted = (TrustLevel.UNTRUSTED, TrustLevel.DEAD)
    counted = [u for u in annex.locations.locations(item.key) if settings.trust(u) not in uncounted]
    return len(counted) - wanted_copies(annex, item.file)


def _is_preferred(annex: AnnexState, item: Item, uuid: UUID) -> bool:
    """Only what an expression says: a repository without one prefers nothing in particular."""
    if annex.settings.wanted(uuid) is None:
        return False
    return PreferredContent()(annex).wants(uuid, item.key, item.file)
