"""`revert`: the files whose loss the brake holds back are put back, in a new commit."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")
    add_json(parser)


def run(call: Invocation, _options: Namespace) -> int:
    """Put back what is gone or overwritten; what was added or moved since stays. Then all of it may go out."""
    from annexd.cli.restoring import commit_first, head_commit, put_back
    from annexd.git.tree import Blob
    from annexd.sync.brake import Brake, lost_files
    from annexd.sync.brake_state import holds
    from annexd.sync.merge import HEADS, branch_to_sync

    annex = call.annex()
    branch = branch_to_sync(annex.refs.head())
    name = "" if branch is None else branch.decode("utf-8", "surrogateescape")
    held = {hold.branch: hold for hold in holds(annex.layout)}
    if not held:
        raise UserError("nothing is held back", hint="annexd undo takes back what went out")
    if branch is None or name not in held:
        raise UserError(f"held back is {', '.join(held)}", hint="check it out first")
    with call.acting(name) as action:
        commit_first(call)
        losses = lost_files(annex, held[name], head_commit(annex))
        blobs: dict[bytes, Blob | None] = {**losses.deleted, **losses.rewritten}
        put_back(call, blobs, b"revert of what was deleted or overwritten", action)
        action.note(f"{len(blobs)} {'file' if len(blobs) == 1 else 'files'} put back")
        action.field("restored", len(blobs))
        is_adjusted = annex.refs.head().ref != HEADS + branch       # the next sync takes the commit back to the branch
        if Brake().judge(annex, branch, annex.refs.read(HEADS + branch)) is not None and not is_adjusted:
            raise UserError("still held back", hint="look at git log, then: annexd accept")
    return call.conclude(anything_done=True)
