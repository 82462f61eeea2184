"""`fsck`: is content what it should be, and is what is recorded true?"""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_jobs, add_json, add_keys, add_matching
from annexd.cli.invocation import Failed, Interrupted, Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    add_keys(parser)
    add_jobs(parser)
    add_json(parser)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Check every key once, with its first file; --fast leaves contents alone."""
    from annexd.annex.fsck import fsck_key
    from annexd.annex.state import AnnexState
    from annexd.annex.verify import Depth
    from annexd.cli.checking import is_checkable, tell
    from annexd.cli.repositories import Names
    from annexd.cli.runner import Task, run_jobs
    from annexd.cli.seek import Item, seek

    names = Names(call.fresh_annex())
    depth = Depth.SIZE if options.fast else Depth.CONTENT

    def check(annex: AnnexState, item: Item) -> bool:
        with call.acting_on(item) as action:
            if depth is Depth.CONTENT and is_checkable(annex, item.key):
                action.note("checksum...")

            def progress(done: int) -> None:
                action.progress(done, item.key.size)
                if call.is_interrupted:
                    raise Interrupted

            problems = fsck_key(annex, item.key, item.file, depth, progress)
            if tell(names, action, problems):
                raise Failed
        return True

    run_jobs(call, seek(call, options), Task(check))
    return call.conclude_changes(staged=call.acted)
