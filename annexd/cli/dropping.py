"""What drop and move share: how many copies must stay, who can tell, and what to say when they are too few."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable

from annexd.annex.drop import HINT
from annexd.annex.numcopies import Copies, copies_for_key
from annexd.annex.state import AnnexState
from annexd.cli.content import ADD_REMOTES, Remotes, who
from annexd.cli.invocation import Failed
from annexd.cli.reporters.contract import Action
from annexd.cli.seek import Item
from annexd.cli.wanting import is_required_at
from annexd.errors import NotEnoughCopies, RemoteError, UserError
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID
from annexd.remotes.contract import Remote, RemoteSpec
from annexd.transfer.dropping import NO_CHECK, drop_here, drop_there

AVAILABLE = "Try making some of these remotes available:\n"
REQUIRED = "That file is required content. It cannot be dropped!"
REQUIRED_HINT = "(Use --force to override this check, or adjust required content configuration.)"


def copies_wanted(annex: AnnexState, item: Item, options: Namespace) -> Copies:
    """What must stay: --force, --numcopies and --mincopies count before all settings. Raises UserError."""
    if options.force:
        return NO_CHECK
    wanted = copies_for_key(annex, item.key, [item.file] if item.file else [])
    least = _number(options.mincopies, "mincopies")
    number = _number(options.numcopies, "numcopies")
    if number is not None:
        least = min(wanted.mincopies, number) if least is None else least
    return Copies(
        wanted.numcopies if number is None else number,
        wanted.mincopies if least is None else least,
    )


def witnesses(remotes: Remotes, annex: AnnexState, item: Item, without: RemoteSpec | None = None) -> list[Remote]:
    """The other remotes, those first that are said to have the content; such as cannot be asked are left out."""
    there = annex.locations.locations(item.key)
    found = []
    for spec in sorted(remotes.specs, key=lambda spec: spec.uuid not in there):
        if spec.uuid in (None, annex.uuid) or not spec.available or spec.config.ignore or spec is without:
            continue
        try:
            found.append(remotes.live(annex, spec))
        except RemoteError:
            continue
    return found


def drop_item(
    remotes: Remotes, annex: AnnexState, item: Item, action: Action, source: RemoteSpec | None, options: Namespace
) -> None:
    """Drop the content from a remote, or from here when `source` is None. Raises Failed, with the reason told."""
    place = annex.uuid if source is None or source.uuid is None else source.uuid
    if source is not None:
        action.note(f"from {source.name}...")
    refuse_required(annex, item, place, options, action)
    copies = copies_wanted(annex, item, options)
    others = witnesses(remotes, annex, item, without=source)
    try:
        if source is None:
            drop_here(annex, item.key, copies, others)
            remotes.call.presence_changed = True
        else:
            drop_there(annex, item.key, copies, remotes.live(annex, source), others)
    except NotEnoughCopies as problem:
        raise say_unsafe(remotes, annex, item, action, problem, lost=[place]) from problem


def refuse_required(annex: AnnexState, item: Item, uuid: UUID, options: Namespace, action: Action) -> None:
    """Raises Failed, with the reason told, when the repository requires the content, unless --force is there."""
    if options.force or getattr(options, "auto", False) or not is_required_at(annex, item, uuid):
        return
    action.long_note(REQUIRED)
    action.long_note(REQUIRED_HINT)
    raise Failed


def say_unsafe(
    remotes: Remotes,
    annex: AnnexState,
    item: Item,
    action: Action,
    problem: NotEnoughCopies,
    lost: Iterable[UUID],
    advice: str = "Rather than dropping this file, try using: git annex move",
) -> Failed:
    """Tell why nothing is dropped, in git-annex's words and order; the exception to raise.

    `advice` is for when no other repository is known to have the content.
    """
    names = remotes.names
    gone = {annex.uuid, *lost}
    there = sorted(annex.locations.locations(item.key) - gone)
    far = [spec for spec in remotes.specs if spec.uuid in there and not spec.available]
    unreachable = [uuid for uuid in there if any(spec.uuid == uuid for spec in far)]
    connected = {spec.uuid for spec in remotes.specs}
    unknown = [uuid for uuid in there if uuid not in connected and names.trust(uuid) is not TrustLevel.DEAD]
    action.note("unsafe")
    action.long_note(problem.message)
    if far:
        action.long_note(f"Unable to access these remotes: {', '.join(spec.name for spec in far)}")
        action.advice(AVAILABLE + "".join(f"\t{names.line(uuid)}\n" for uuid in unreachable))
    if unknown:
        action.advice(ADD_REMOTES + "".join(f"\t{names.line(uuid)}\n" for uuid in unknown))
    if not far and not unknown:
        action.advice(advice)
    action.long_note(f"({HINT})")
    action.field("wanted", who(names, [*unreachable, *unknown]))
    return Failed()


def _number(text: str | None, what: str) -> int | None:
    if text is None:
        return None
    if not text.isdigit():
        raise UserError(f"bad number for {what}: {text}")
    return int(text)
