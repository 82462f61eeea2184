"""`config`: settings that all repositories share, kept in the git-annex branch."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError


def configure(parser: Parser) -> None:
    """Declare the options."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--set", nargs=2, metavar=("NAME", "VALUE"), help="set configuration")
    which.add_argument("--get", metavar="NAME", help="get configuration")
    which.add_argument("--unset", metavar="NAME", help="unset configuration")


def run(call: Invocation, options: Namespace) -> int:
    """Set, show or unset one setting."""
    if options.set:
        return _change(call, options.set[0], options.set[1])
    if options.unset:
        return _change(call, options.unset, None)
    if not options.get:
        raise UserError("Missing: (--set NAME VALUE | --get NAME | --unset NAME)")
    value = call.annex().settings.config.get(_storable(options.get))
    if value:
        call.reporter.line(value + b"\n")
    return 0


def _change(call: Invocation, name: str, value: str | None) -> int:
    from annexd.annex.repository_log import set_config
    from annexd.formats.paths import from_text

    storable = _storable(name)
    annex = call.annex()
    with call.acting("unset" if value is None else value, command=name):
        set_config(annex, storable, from_text(value or ""))
    call.recording()
    call.save()
    return call.finish()


def _storable(name: str) -> bytes:
    from annexd.annex.repository_log import STORABLE_CONFIG
    from annexd.formats.paths import from_text

    if from_text(name) not in STORABLE_CONFIG:
        raise UserError(f"{name} is not a configuration setting that can be stored in the git-annex branch")
    return from_text(name)
