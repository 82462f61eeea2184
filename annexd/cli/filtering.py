"""What the two filter commands share."""

from __future__ import annotations

from annexd.annex.state import AnnexState, AutoInit
from annexd.cli.invocation import Invocation


def open_annex(call: Invocation) -> AnnexState:
    """The annex that git filters for; never initialised on the way, as git is in the middle of something."""
    return call.annex(AutoInit.NO)
