"""`merge`: bring what was fetched or pushed here into our branches; nothing is fetched."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[REF]")
    parser.add_argument("--allow-unrelated-histories", action="store_true", help="the default here")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Merge the git-annex branches, then synced/BRANCH; or only the ref that is named."""
    from annexd.cli.syncing import merge, merge_and_tell
    from annexd.sync.merge import branch_to_sync, local_synced

    if len(options.words) > 1:
        raise UserError("name one ref only")
    annex = call.annex()
    if options.words:
        with call.acting(options.words[0]) as action:
            merge(annex, _full_name(call, options.words[0]), action)
        return call.finish()
    with call.acting("git-annex"):
        call.fresh_annex()
    branch = branch_to_sync(annex.refs.head())
    if branch is not None and annex.refs.read(local_synced(branch)) is not None:
        merge_and_tell(call, local_synced(branch))
    return call.finish()


def _full_name(call: Invocation, word: str) -> bytes:
    from annexd.formats.paths import from_text

    refs = call.annex().refs
    for prefix in (b"", b"refs/", b"refs/heads/", b"refs/remotes/", b"refs/tags/"):
        if refs.read(prefix + from_text(word)) is not None:
            return prefix + from_text(word)
    raise UserError(f"there is no branch {word}")
