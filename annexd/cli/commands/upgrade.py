"""`upgrade`: bring the repository to the newest version."""

from __future__ import annotations

import os
from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

DEFERRED = """\
Not upgrading from v9 to v10, because there may be git-annex
processes running that predate the v9 upgrade. Upgrading with
such processes running could lead to data loss. This upgrade
will be deferred until one year after the v9 upgrade to make
sure there are no such old processes running.
(Use --force to upgrade immediately.)"""


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")
    parser.add_argument("--autoonly", action="store_true", help="only do automatic upgrades")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Do it, unless a daemon runs here."""
    from annexd.annex.config import AnnexConfig
    from annexd.annex.init import initialize
    from annexd.annex.state import layout_of
    from annexd.annex.upgrade import Manner, is_due, upgrade
    from annexd.annex.version import check_version
    from annexd.git.config import GitConfig
    from annexd.git.repository import GitRepository
    from annexd.system.lock_pool import LOCKS

    repo = GitRepository.discover(os.getcwdb(), os.environb)
    config = AnnexConfig.load(GitConfig.load(repo))
    layout = layout_of(repo, config)
    if LOCKS.holder_pid(layout.daemon_pid) is not None:
        raise UserError("You cannot run this command while annexd or git-annex assistant is running.",
                        hint="stop it first: annexd stop, or git annex assistant --stop")
    with call.acting() as action:
        if config.version is None:
            initialize(os.getcwdb(), environ=os.environb, warn=action.warning).close()
            return call.finish()
        check_version(config)
        if options.autoonly and not is_due(layout, config):
            return call.finish()
        manner = Manner.FORCED if options.force else Manner.AUTOMATIC if options.autoonly else Manner.ASKED
        done = upgrade(repo, layout, manner)
        if not options.autoonly:
            for version in done.reached:
                action.note(f"v{version - 1} to v{version}...")
            if done.is_deferred:
                action.warning(DEFERRED)
    return call.finish()
