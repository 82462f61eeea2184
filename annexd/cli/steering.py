"""What `pause`, `resume` and `cancel` share: which of the daemon's transfers a person means, and telling the daemon."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

if TYPE_CHECKING:
    from annexd.formats.key import Key

Request = dict[str, Any]

_NOTHING = {
    "pause": "nothing of it is being moved, or waits for that",
    "resume": "nothing of it is paused",
    "cancel": "nothing of it is being moved, or waits for that",
}


def configure_steering(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[PATH ...]")
    parser.add_argument("--remote", metavar="REMOTE",
                        help="all transfers with this remote; of files their uploads to it")
    add_json(parser)


def steer(call: Invocation, options: Namespace, what: str) -> int:
    """Do `what` ("pause", "resume" or "cancel") with the transfers of some files, with all of a remote, or with all.

    A file of which nothing is moved is a failure. Raises UserError when no daemon runs, or it knows no such remote.
    """
    from annexd.cli.daemon_control import ask_daemon
    from annexd.cli.seek import seek

    layout = call.annex().layout

    def ask(request: Request) -> Request:
        answer = ask_daemon(layout, request)
        if answer is None:
            raise UserError("annexd is not running here", hint="start it with: annexd start")
        return answer

    if not options.words:
        every = {"what": "all"} if options.remote is None else {"what": "remote", "remote": options.remote}
        with call.acting("all transfers" if options.remote is None else f"transfers with {options.remote}"):
            ask({"do": what, **every})
        return call.finish()
    remotes = [options.remote] if options.remote else list(ask({"do": "status", "limit": 0})["remotes"])
    for item in seek(call, options):
        with call.acting_on(item):
            transfers = _transfers(item.key, remotes, options.remote)
            found = [which for which in transfers if ask({"do": what, **which})["found"]]
            if not found:
                raise UserError(_NOTHING[what], hint="what it waits for is told by: annexd why FILE")
    return call.finish()


def _transfers(key: Key, remotes: list[str], only: str | None) -> Iterator[Request]:
    """All that can be moved of a key. A download has no remote until it begins, so `only` picks uploads alone."""
    transfer = {"what": "transfer", "key": os.fsdecode(bytes(key)), "if_there": True}
    if only is None:
        yield {**transfer, "direction": "download"}
    for remote in remotes:
        yield {**transfer, "direction": "upload", "remote": remote}
