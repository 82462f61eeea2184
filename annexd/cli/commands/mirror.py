"""`mirror`: content is there where it is at the source, and nowhere else."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_jobs, add_json, add_keys, add_matching
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    parser.add_argument("-f", "--from", metavar="REMOTE", dest="source", help="source remote")
    parser.add_argument("-t", "--to", metavar="REMOTE", dest="target", help="destination remote")
    add_keys(parser)
    add_jobs(parser)
    add_json(parser, progress=True)
    add_matching(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Copy what is missing, drop what is too much."""
    from annexd.cli.content import Remotes
    from annexd.cli.mirroring import Mirroring
    from annexd.cli.runner import run_jobs
    from annexd.cli.seek import seek
    from annexd.errors import UserError
    from annexd.formats.transfer_info import Direction

    if (options.source is None) == (options.target is None):
        raise UserError("Specify one of --from and --to")
    annex = call.fresh_annex()
    mirroring = Mirroring(call, options, Remotes(call))
    try:
        spec = mirroring.remotes.named(options.source or options.target)
        task = mirroring.onto(spec) if options.target else mirroring.like(spec)
        direction = Direction.UPLOAD if options.target else Direction.DOWNLOAD
        run_jobs(call, seek(call, options, direction), task)
    finally:
        mirroring.arrivals.settle(annex)
        mirroring.remotes.close()
    return call.conclude(anything_done=call.acted)
