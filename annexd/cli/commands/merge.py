"""`merge`: bring what was fetched or pushed here into our branches; nothing is fetched."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import BusyError, UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[REF]")
    parser.add_argument("--allow-unrelated-histories", action="store_true", help="the default here")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Merge the git-annex branches, then synced/BRANCH, or the ref that is named."""
    from annexd.sync.merge import branch_to_sync, local_synced

    if len(options.words) > 1:
        raise UserError("name one ref only")
    annex = call.annex()
    if options.words:
        return _merge(call, options.words[0], _full_name(call, options.words[0]))
    with call.acting("git-annex"):
        call.fresh_annex()
    branch = branch_to_sync(annex.refs.head())
    if branch is not None and annex.refs.read(local_synced(branch)) is not None:
        _merge(call, f"synced/{branch.decode('utf-8', 'surrogateescape')}", local_synced(branch))
    return call.finish()


def _merge(call: Invocation, shown: str, ref: bytes) -> int:
    from annexd.cli.staging import INDEX_SECONDS
    from annexd.formats.paths import display
    from annexd.sync.merge import MergeKind, merge_into_head
    from annexd.threads.deadline import Deadline

    with call.acting(shown):
        report = merge_into_head(call.annex(), ref, Deadline(INDEX_SECONDS))
        if report.kind in (MergeKind.CONFLICT, MergeKind.BLOCKED):
            paths = ", ".join(display(path) for path in report.paths[:10])
            raise BusyError(f"{report.kind.value}: {paths}")
    return call.finish()


def _full_name(call: Invocation, word: str) -> bytes:
    from annexd.formats.paths import from_text

    refs = call.annex().refs
    for prefix in (b"", b"refs/", b"refs/heads/", b"refs/remotes/", b"refs/tags/"):
        if refs.read(prefix + from_text(word)) is not None:
            return prefix + from_text(word)
    raise UserError(f"there is no branch {word}")
