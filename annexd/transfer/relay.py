"""Content from one remote to another by way of here, where it never counts as present."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.remotes.contract import Remote
from annexd.transfer import perform
from annexd.transfer.job import Outcome
from annexd.transfer.meter import TransferMeter


def relay(
    state: AnnexState,
    source: Remote,
    target: Remote,
    key: Key,
    file: bytes | None = None,
    *,
    meters: Callable[[Remote], TransferMeter],
    on_fetched: Callable[[], None] = lambda: None,
) -> Outcome:
    """Get the content into the place of partial downloads, give it to `target`, and remove it there again.

    Blocks; never raises for what can go wrong with a transfer. Stopped half-way, it goes on from there the next time.
    `meters` is asked for each way when that begins; `on_fetched` is called between them.
    """
    temp = state.layout.tmp_object(key)
    outcome = perform.fetch_to_temp(state, source, key, file, meter=meters(source))
    if not outcome.is_success:
        return outcome
    on_fetched()
    outcome = perform.upload_file(state, target, key, temp, file, meter=meters(target))
    if outcome.is_success:
        with suppress(FileNotFoundError):
            os.unlink(temp)
    return outcome
