"""Content from one remote to another (--from X --to Y), by way of here if it is not here anyway."""

from __future__ import annotations

from contextlib import ExitStack

from annexd.annex.state import AnnexState
from annexd.cli.content import Remotes, require_success
from annexd.cli.invocation import Failed
from annexd.cli.reporters.contract import Action
from annexd.cli.seek import Item
from annexd.errors import RemoteError
from annexd.formats.transfer_info import Direction
from annexd.remotes.contract import Remote, RemoteSpec
from annexd.transfer import perform
from annexd.transfer.job import Outcome
from annexd.transfer.meter import TransferMeter
from annexd.transfer.relay import relay


def pass_on(
    remotes: Remotes, annex: AnnexState, item: Item, action: Action, source: RemoteSpec, target: RemoteSpec
) -> None:
    """Give `target` what `source` has, and record that it has it. Raises Failed."""
    had_it = _has_key(remotes, annex, item, action, target)
    is_here = annex.store.is_present(item.key)
    action.note(f"from {source.name}...")
    if had_it:
        if not is_here:
            action.note(f"to {target.name}...")
    elif is_here:
        action.note(f"to {target.name}...")
        remote = remotes.live(annex, target)
        outcome = remotes.persist(annex, remote, Direction.UPLOAD, item, action, lambda meter: perform.upload(
            annex, remote, item.key, item.file, meter=meter
        ))  # fmt: skip
        require_success(outcome, action, "failed to send content to remote")
    else:
        _relay(remotes, annex, item, action, source, target)
    assert target.uuid is not None      # `Remotes.named` gives no others
    remotes.news.there([item.key], target.uuid)
    remotes.news.record_when_due(annex)


def _has_key(remotes: Remotes, annex: AnnexState, item: Item, action: Action, target: RemoteSpec) -> bool:
    try:
        if target.available:
            return remotes.live(annex, target).has_key(item.key)
    except RemoteError as problem:
        action.warning(str(problem))
    action.note(f"unable to check {target.name}")
    raise Failed


def _relay(
    remotes: Remotes, annex: AnnexState, item: Item, action: Action, source: RemoteSpec, target: RemoteSpec
) -> None:
    if not source.available:
        action.warning("cannot access remote")
        raise Failed
    giver, taker = remotes.live(annex, source), remotes.live(annex, target)
    fetched = False

    def tell() -> None:
        nonlocal fetched
        fetched = True
        action.note(f"to {target.name}...")

    with ExitStack() as running:

        def meter(remote: Remote) -> TransferMeter:
            running.close()
            way = Direction.DOWNLOAD if remote is giver else Direction.UPLOAD
            return running.enter_context(remotes.transfer(remote, way, item.key.size, action))

        outcome: Outcome = relay(annex, giver, taker, item.key, item.file, meters=meter, on_fetched=tell)
    require_success(
        outcome, action, "failed to send content to remote" if fetched else "failed to retrieve content from remote"
    )
