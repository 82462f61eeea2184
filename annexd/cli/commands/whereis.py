"""`whereis`: the repositories that have the content of files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from annexd.cli.arguments import Parser, add_batch, add_json, add_keys, add_matching
from annexd.cli.invocation import Failed, Invocation
from annexd.cli.reporters.contract import Action, Json

if TYPE_CHECKING:
    from annexd.annex.state import AnnexState
    from annexd.cli.repositories import Names
    from annexd.formats.key import Key
    from annexd.formats.uuid import UUID


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    add_keys(parser)
    add_batch(parser, keys=True)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Say for each file who has it; a file that nobody has is a failure."""
    from annexd.cli.repositories import Names
    from annexd.cli.runner import for_each
    from annexd.cli.seek import Item, seek

    names = Names(call.fresh_annex())

    def show(annex: AnnexState, item: Item) -> bool:
        with call.acting_on(item) as action:
            if not _describe(annex, names, item.key, action):
                raise Failed
        return True

    for_each(call, seek(call, options), show, is_batch=options.batch or options.batch_keys)
    return call.finish()


def _describe(annex: AnnexState, names: Names, key: Key, action: Action) -> bool:
    from annexd.formats.logs.trust import TrustLevel

    there = sorted(annex.locations.locations(key))
    untrusted = [uuid for uuid in there if names.trust(uuid) is TrustLevel.UNTRUSTED]
    safe = [uuid for uuid in there if names.trust(uuid) not in (TrustLevel.UNTRUSTED, TrustLevel.DEAD)]
    urls = _urls(annex, key)
    action.note(f"{len(safe)} {'copy' if len(safe) == 1 else 'copies'}")
    action.field("whereis", _records(names, safe, urls))
    action.field("untrusted", _records(names, untrusted, urls))
    if safe:
        action.long_note("".join(f"\t{names.line(uuid)}\n" for uuid in safe))
    if untrusted:
        lines = "".join(f"\t{names.line(uuid)}\n" for uuid in untrusted)
        action.long_note("The following untrusted locations may also have copies:\n" + lines)
    if urls:
        action.long_note("".join(f"web: {url}\n" for url in urls))
    return bool(safe)


def _records(names: Names, uuids: Iterable[UUID], urls: list[str]) -> list[Json]:
    from annexd.formats.paths import display
    from annexd.formats.uuid import WEB

    return [
        {
            "uuid": display(uuid),
            "description": names.plain(uuid),
            "here": names.is_here(uuid),
            "urls": urls if uuid == WEB else [],
        }
        for uuid in uuids
    ]


def _urls(annex: AnnexState, key: Key) -> list[str]:
    from annexd.formats.branch_paths import web_log
    from annexd.formats.logs.presence import present_infos
    from annexd.formats.paths import display

    return sorted(display(url) for url in present_infos(annex.branch.read(web_log(key, annex.layout.branch_levels))))
