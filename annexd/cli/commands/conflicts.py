"""`conflicts`: the versions that conflicts left, and which of them to keep."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

if TYPE_CHECKING:
    from annexd.annex.state import AnnexState
    from annexd.cli.conflict_versions import Conflict


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[NAME ...]")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--keep", metavar="FILE", action="append",
                       help="keep this version under the name that was in conflict, and remove the others")
    which.add_argument("--keep-both", metavar="FILE", nargs="?", const="",
                       help="keep all versions of FILE (or of every file), under the names given or plain ones")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """List or settle. What is removed stays in the history."""
    from annexd.cli.conflict_versions import find_conflicts
    from annexd.cli.restoring import head_commit

    annex = call.annex()
    if options.words and not options.keep_both:
        raise UserError("names go with --keep-both FILE")
    head_commit(annex)
    if options.keep or options.keep_both is not None:
        return _settle(call, annex, options)
    found = find_conflicts(annex)
    for conflict in found:
        _show(call, conflict)
    if not found:
        call.reporter.info("no conflicts")
    return call.finish()


def _show(call: Invocation, conflict: Conflict) -> None:
    from annexd.formats.paths import display

    if call.reporter.wants_records:
        versions = [version.record() for version in conflict.versions]
        call.reporter.record({"file": display(conflict.path), "versions": versions})
        return
    call.reporter.info(display(conflict.path))
    for version in conflict.versions:
        call.reporter.info(version.line())


def _settle(call: Invocation, annex: AnnexState, options: Namespace) -> int:
    from annexd.cli.conflict_versions import find_conflicts, keep_all, keep_one
    from annexd.cli.restoring import commit_first, put_back
    from annexd.cli.seek import places_of

    places = places_of(annex)
    commit_first(call)
    found = find_conflicts(annex)
    words = options.keep or ([options.keep_both] if options.keep_both else [])
    wanted = [(word, places.repo_path(word)) for word in words] or [("", conflict.path) for conflict in found]
    for word, path in wanted:
        with call.acting(file=places.shown(path), given=[word] if word else []) as action:
            conflict = _of(find_conflicts(annex) if words else found, path, is_version=bool(options.keep))
            if options.keep:
                changes = keep_one(annex, conflict, path)
            else:
                changes = keep_all(annex, conflict, [places.repo_path(name) for name in options.words])
            put_back(call, changes, b"conflict over %b settled" % conflict.path, action)
            action.field("versions", [version.record()["file"] for version in conflict.versions])
    return call.conclude(anything_done=call.acted)


def _of(conflicts: list[Conflict], path: bytes, *, is_version: bool) -> Conflict:
    for conflict in conflicts:
        names = {version.path for version in conflict.versions}
        if path in names or (path == conflict.path and not is_version):
            return conflict
    raise UserError("is no version of a file in conflict", hint="annexd conflicts lists them")
