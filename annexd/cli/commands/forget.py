"""`forget`: let the git-annex branch begin anew, without its history."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Failed, Invocation

_NEEDS_FORCE = "To forget git-annex branch history, you must specify --force. This deletes metadata!"


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")
    parser.add_argument("--drop-dead", action="store_true", help="drop references to dead repositories")


def run(call: Invocation, options: Namespace) -> int:
    """Do it, where --force says that it is meant."""
    from annexd.annex.unrecorded import record_left_behind
    from annexd.formats.logs.transitions import FORGET_DEAD_REMOTES, FORGET_GIT_HISTORY
    from annexd.system.clock import SystemClock

    names = [FORGET_GIT_HISTORY, *([FORGET_DEAD_REMOTES] if options.drop_dead else [])]
    with call.acting("git-annex") as action:
        if not options.force:
            action.long_note(_NEEDS_FORCE)
            raise Failed
        annex = call.annex()
        record_left_behind(annex)
        update = annex.branch.forget(names, SystemClock().vector_now())
        for refused in update.refused:
            action.warning(f"{refused.ref.decode('utf-8', 'replace')} was not merged: {refused.reason}")
        call.recording()
    return call.finish()
