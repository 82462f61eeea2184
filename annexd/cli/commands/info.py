"""`info`: facts about this repository, a directory, a file, a remote or any known repository."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from annexd.cli.arguments import Parser, add_batch, add_json, add_matching
from annexd.cli.invocation import Invocation
from annexd.cli.reporters.contract import Json
from annexd.errors import UserError

if TYPE_CHECKING:
    from annexd.annex.annexed_files import AnnexedFile
    from annexd.annex.state import AnnexState
    from annexd.annex.statistics import Sum
    from annexd.cli.repositories import Names
    from annexd.formats.uuid import UUID

UNKNOWN = "not a directory or an annexed file or a treeish or a remote or a uuid"


class Fact(NamedTuple):
    """One line for people: `text` as it is, or `name: text`; `value` is what a machine gets under that name."""

    name: str
    text: str
    value: Json


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[ITEM ...]")
    parser.add_argument("--bytes", action="store_true", help="display file sizes in bytes")
    add_batch(parser)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Print the facts about each item, or about the repository."""
    from annexd.cli.seek import batch_words

    call.fresh_annex()
    if options.batch:
        for word in batch_words(options):
            _about(call, options, word)
    elif options.words:
        for word in options.words:
            _about(call, options, word)
    else:
        _print(call, "info", (), _repository(call, options))
    return call.finish()


def _about(call: Invocation, options: Namespace, word: str) -> None:
    facts = _item(call, options, word)
    if facts is None:
        action = call.reporter.begin("info", word, file=os.fsencode(word), given=[word])
        action.note(UNKNOWN)
        action.fail()
    else:
        _print(call, f"info {word}", [word], facts)


def _print(call: Invocation, command: str, given: list[str] | tuple[()], facts: Iterator[Fact]) -> None:
    record: dict[str, Json] = {}
    for name, text, value in facts:
        record[name] = value
        call.reporter.info(f"{name}: {text}")
    call.reporter.record(
        {**record, "command": command, "input": list(given), "error-messages": [], "success": True}
    )


def _item(call: Invocation, options: Namespace, word: str) -> Iterator[Fact] | None:
    from annexd.annex.annexed_files import annexed_at, in_tree
    from annexd.cli.repositories import uuid_named
    from annexd.cli.seek import places_of

    annex = call.annex()
    try:
        path = places_of(annex).repo_path(word)
        if os.path.isdir(places_of(annex).absolute(path)):
            return _directory(call, options, word)
        file = annexed_at(annex, path)
        if file is not None:
            return _file(call, options, word, file)
    except UserError:
        pass
    try:
        return _somewhere(call, options, uuid_named(annex, word))
    except UserError:
        pass
    try:
        in_tree(annex, word)
    except UserError:
        return None
    return _tree(call, options, word)


def _repository(call: Invocation, options: Namespace) -> Iterator[Fact]:
    from annexd.cli.repositories import Names
    from annexd.formats.logs.trust import TrustLevel
    from annexd.system.files import free_space

    annex = call.annex()
    names = Names(annex)
    for level in (TrustLevel.TRUSTED, TrustLevel.SEMITRUSTED, TrustLevel.UNTRUSTED):
        uuids = [uuid for uuid in _known(names) if names.trust(uuid) is level]
        lines = "".join(f"\n\t{names.line(uuid)}" for uuid in uuids)
        yield Fact(f"{level.name.lower()} repositories", f"{len(uuids)}{lines}", [_who(names, uuid) for uuid in uuids])
    running = list(_transfers(annex, names))
    text = "".join(f"\n\t{line}" for line, _ in running) or "none"
    yield Fact("transfers in progress", text, [record for _, record in running])
    free = free_space(annex.layout.annex_dir)
    reserve = annex.config.disk_reserve
    text = f"{_size(options, max(0, free - reserve))} (+{_size(options, reserve)} reserved)"
    yield Fact("available local disk space", text, text)
    if not options.fast:
        yield from _contents(options, annex, names)


def _contents(options: Namespace, annex: AnnexState, names: Names) -> Iterator[Fact]:
    from annexd.annex.annexed_files import annexed, tracked
    from annexd.annex.statistics import sum_files, sum_here, sum_places

    here = sum_here(annex)
    yield Fact("local annex keys", str(here.keys), here.keys)
    yield _size_fact(options, "local annex size", here.size)
    files = sum_files(annex, () if annex.layout.is_bare else annexed(annex, tracked(annex)))
    yield Fact("annexed files in working tree", str(files.files.keys), files.files.keys)
    yield _size_fact(options, "size of annexed files in working tree", files.files.size)
    places = sum_places(annex)
    yield _size_fact(options, "combined annex size of all repositories", sum(s.size for s in places.values()))
    yield _places_fact(options, "annex sizes of repositories", names, places, count="")
    text = "".join(f"\n\t{name.decode()}: {number}" for name, number in files.backends.most_common())
    usage: dict[str, Json] = {name.decode(): number for name, number in files.backends.items()}
    yield Fact("backend usage", text, usage)


def _directory(call: Invocation, options: Namespace, word: str) -> Iterator[Fact]:
    from annexd.annex.annexed_files import AnnexedFile
    from annexd.cli.seek import seek
    from annexd.git.objects import Oid

    options = Namespace(**{**vars(options), "words": [word], "batch": False})
    files = (
        AnnexedFile(item.file or b"", item.mode or 0, Oid(b""), item.key) for item in seek(call, options)
    )
    yield Fact("directory", word, word)
    yield from _files(call, options, files, "working tree")


def _tree(call: Invocation, options: Namespace, word: str) -> Iterator[Fact]:
    from annexd.annex.annexed_files import annexed, in_tree

    annex = call.annex()
    yield Fact("tree", word, word)
    yield from _files(call, options, annexed(annex, in_tree(annex, word)), "tree")


def _files(call: Invocation, options: Namespace, files: Iterator[AnnexedFile], where: str) -> Iterator[Fact]:
    from annexd.annex.statistics import sum_files
    from annexd.cli.repositories import Names
    from annexd.cli.seek import wanted_copies

    annex = call.annex()
    sums = sum_files(annex, files, with_places=not options.fast)
    yield Fact("local annex keys", str(sums.here.keys), sums.here.keys)
    yield _size_fact(options, "local annex size", sums.here.size)
    yield Fact(f"annexed files in {where}", str(sums.files.keys), sums.files.keys)
    yield _size_fact(options, f"size of annexed files in {where}", sums.files.size)
    if options.fast:
        return
    wanted = wanted_copies(annex, None)
    variances = sorted(((copies - wanted, number) for copies, number in sums.copies.items()), reverse=True)
    text = "".join(f"\n\tnumcopies {by:+d}: {number}" for by, number in variances)
    yield Fact("numcopies stats", text, [[f"{by:+d}", number] for by, number in variances])
    yield _places_fact(options, "repositories containing these files", Names(annex), sums.places, count=None)
    combined = sum(place.size for place in sums.places.values())
    yield _size_fact(options, "combined size of repositories containing these files", combined)


def _file(call: Invocation, options: Namespace, word: str, file: AnnexedFile) -> Iterator[Fact]:
    yield Fact("file", word, word)
    size = "unknown" if file.key.size is None else _size(options, file.key.size)
    yield Fact("size", size, size)
    yield Fact("key", str(file.key), str(file.key))
    present = call.annex().store.is_present(file.key)
    yield Fact("present", str(present).lower(), present)


def _somewhere(call: Invocation, options: Namespace, uuid: UUID) -> Iterator[Fact]:
    from annexd.annex.statistics import sum_of
    from annexd.cli.repositories import Names
    from annexd.formats.paths import display
    from annexd.remotes.registry import load_specs

    annex = call.annex()
    names = Names(annex)
    for name, value in (
        ("uuid", display(uuid)),
        ("description", names.full(uuid)),
        ("trust", names.trust(uuid).name.lower()),
    ):
        yield Fact(name, value, value)
    spec = next((spec for spec in load_specs(annex) if spec.uuid == uuid and uuid != annex.uuid), None)
    if spec is not None:
        for name, value in (
            ("remote", spec.name),
            ("cost", str(spec.cost)),
            ("type", "git" if spec.url else "special"),
            ("available", str(spec.available).lower()),
            ("repository location", os.fsdecode(spec.path) if spec.path else spec.url or ""),
        ):
            yield Fact(name, value, value)
    if not options.fast:
        there = sum_of(annex, uuid)
        yield Fact("remote annex keys", str(there.keys), there.keys)
        yield _size_fact(options, "remote annex size", there.size)


def _places_fact(
    options: Namespace, title: str, names: Names, places: dict[UUID, Sum], *, count: str | None
) -> Fact:
    ordered = sorted(places.items(), key=lambda place: (-place[1].size, place[0]))
    lines = "".join(f"\n\t{_short(options, place.size)}: {names.line(uuid)}" for uuid, place in ordered)
    records: list[Json] = [{**_who(names, uuid), "size": _short(options, place.size)} for uuid, place in ordered]
    return Fact(title, (str(len(places)) if count is None else count) + lines, records)


def _transfers(annex: AnnexState, names: Names) -> Iterator[tuple[str, Json]]:
    from annexd.transfer.locks import running_transfers

    for transfer, info in running_transfers(annex.layout):
        direction = "uploading" if transfer.direction.value == b"upload" else "downloading"
        file = os.fsdecode(info.file) if info.file else str(transfer.key)
        preposition = "to" if direction == "uploading" else "from"
        yield f"{direction} {file} {preposition} {names.plain(transfer.uuid)}", {
            "transfer": direction, "file": file, "key": str(transfer.key), "remote": names.plain(transfer.uuid),
        }  # fmt: skip


def _known(names: Names) -> list[UUID]:
    from annexd.formats.uuid import BITTORRENT, WEB

    return sorted({WEB, BITTORRENT, *names.known()})


def _who(names: Names, uuid: UUID) -> dict[str, Json]:
    from annexd.formats.paths import display

    return {"uuid": display(uuid), "description": names.plain(uuid), "here": names.is_here(uuid)}


def _size_fact(options: Namespace, name: str, size: int) -> Fact:
    return Fact(name, _size(options, size), _size(options, size))


def _size(options: Namespace, size: int) -> str:
    from annexd.formats.units import format_size

    return str(size) if options.bytes else format_size(size)


def _short(options: Namespace, size: int) -> str:
    from annexd.formats.units import format_size_short

    return str(size) if options.bytes else format_size_short(size)
