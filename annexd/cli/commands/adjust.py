"""`adjust`: enter an adjusted branch."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Failed, Invocation
from annexd.errors import UserError

SHOWN = 10      # files in the way that are named


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")
    links = parser.add_mutually_exclusive_group()
    for option, value, text in (
        ("--unlock", "unlocked", "unlock annexed files"),
        ("--lock", "locked", "lock annexed files"),
        ("--fix", "fixed", "fix symlinks to annexed files"),
        ("--unlock-present", "unlockpresent", "unlock files whose content is present; lock rest"),
    ):
        links.add_argument(option, dest="links", action="store_const", const=value, help=text)
    parser.add_argument("--hide-missing", dest="hide", action="store_const", const="hidemissing",
                        help="hide annexed files whose content is not present")


def run(call: Invocation, options: Namespace) -> int:
    """Enter the branch, or bring it up to date."""
    from annexd.annex.adjust import BranchExists, enter
    from annexd.cli.staging import INDEX_SECONDS
    from annexd.formats.adjustment import Adjustment
    from annexd.formats.paths import display
    from annexd.threads.deadline import Deadline

    adjustment = Adjustment.parse("-".join(filter(None, (options.hide, options.links))).encode())
    if adjustment is None:
        raise UserError(
            "say how: --unlock, --lock, --fix or --unlock-present, "
            "or --hide-missing with or without one of the first three"
        )
    annex = call.annex()
    if annex.layout.is_bare:
        raise UserError("You cannot run this command in a bare repository.")
    with call.acting() as action:
        try:
            result = enter(annex, adjustment, Deadline(INDEX_SECONDS), overwrite=options.force)
        except BranchExists as problem:
            action.error(str(problem))
            raise Failed from problem
        if result.blocked:
            shown = ", ".join(display(path) for path in result.blocked[:SHOWN])
            action.error(f"local changes are in the way: {shown}")
            raise Failed
    return call.conclude(anything_done=True)
