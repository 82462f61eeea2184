"""What --auto and preferred content decide about one file."""

from __future__ import annotations

from annexd.annex.state import AnnexState
from annexd.cli.seek import Item, wanted_copies
from annexd.formats.logs.trust import TrustLevel


def is_wanted_here(annex: AnnexState, item: Item) -> bool:
    """Whether --auto gets it: there are fewer copies than wanted, or this repository prefers to have it."""
    settings = annex.settings
    uncounted = (TrustLevel.UNTRUSTED, TrustLevel.DEAD)
    counted = [u for u in annex.locations.locations(item.key) if settings.trust(u) not in uncounted]
    return len(counted) < wanted_copies(annex, item.file)
