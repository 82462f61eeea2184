"""`add`: files of the work tree come under annexd's care."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_batch, add_jobs, add_json, add_time_limit
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    add_batch(parser)
    add_jobs(parser)
    parser.add_argument("-u", "--update", action="store_true", help="only update tracked files")
    parser.add_argument("-b", "--backend", metavar="NAME", help="specify key-value backend to use")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--force-large", action="store_true", help="add all files to annex")
    how.add_argument("--force-small", action="store_true", help="add all files to git")
    ignore = parser.add_mutually_exclusive_group()
    ignore.add_argument("--check-gitignore", action="store_true", default=True, help="skip ignored files (default)")
    ignore.add_argument("--no-check-gitignore", action="store_false", dest="check_gitignore",
                        help="do not check .gitignore when adding files")
    parser.add_argument("--dry-run", action="store_true", help="don't make changes, but show what would be done")
    add_json(parser, progress=True)
    add_time_limit(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Add what is new or changed."""
    from annexd.cli.adding import add_files

    return add_files(call, options)
