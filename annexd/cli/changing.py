"""What the commands share that change one record in the git-annex branch."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from annexd.annex.state import AnnexState
from annexd.cli.invocation import Invocation
from annexd.cli.repositories import uuid_named
from annexd.errors import UserError
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID

TRUST_WARNING = (
    "Trusting a repository can lead to data loss. If you're sure you know what you're doing, use --force to make this "
    "take effect. If you choose to do so, bear in mind that any time you drop content from {}, you will risk losing "
    "data."
)


def change_one(call: Invocation, subject: str, change: Callable[[AnnexState], None]) -> int:
    """One action on `subject` that calls `change`, then the commit of the git-annex branch."""
    annex = call.annex()
    with call.acting(subject, given=[subject] if subject else []):
        change(annex)
    status = call.finish()
    if status == 0:
        call.recording()
    call.save()
    return status


def change_trust(call: Invocation, options: Namespace, level: TrustLevel) -> int:
    """Set the trust of every repository named on the command line."""
    from annexd.annex.repository_log import set_trust

    if not options.words:
        raise UserError("no repository name specified")
    annex = call.annex()
    for name in options.words:
        uuid = uuid_named(annex, name)
        with call.acting(name):
            if level is TrustLevel.TRUSTED and not options.force:
                raise UserError(TRUST_WARNING.format(name))
            set_trust(annex, uuid, level)
    status = call.finish()
    if status == 0:
        call.recording()
    call.save()
    return status


def expression_command(
    call: Invocation, options: Namespace, log: bytes, current: Callable[[UUID], bytes | None]
) -> int:
    """Show or set one of the expressions that a repository has."""
    from annexd.annex.repository_log import set_expression
    from annexd.formats.paths import from_text
    from annexd.formats.preferred_content import parse

    if len(options.words) not in (1, 2):
        raise UserError("Specify a repository.")
    annex = call.annex()
    uuid = uuid_named(annex, options.words[0])
    if len(options.words) == 1:
        call.reporter.line((current(uuid) or b"") + b"\n")
        return 0
    expression = from_text(options.words[1])

    def change(annex: AnnexState) -> None:
        parse(expression)
        set_expression(annex, log, uuid, expression)

    return change_one(call, options.words[0], change)


def copies_command(call: Invocation, options: Namespace, log: bytes, current: int | None, unset: str) -> int:
    """Show or set numcopies or mincopies."""
    from annexd.annex.repository_log import set_copies

    words = options.words
    if not words:
        call.reporter.line((unset if current is None else f"{current}\n").encode())
        return 0
    if len(words) > 1:
        raise UserError("Specify a single number.")
    if not words[0].lstrip("-").isdigit():
        raise UserError(f"Bad number: {words[0]}")
    number = int(words[0])
    if number < 1:
        raise UserError(f"Cannot set {call.command} to {number}.")
    return change_one(call, words[0], lambda annex: set_copies(annex, log, number))
