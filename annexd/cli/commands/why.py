"""`why`: where the content of a file is, where it should be, and what keeps it from getting there."""

from __future__ import annotations

from argparse import Namespace

from annexd.cli.arguments import Parser, add_json
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("FILE [REMOTE]")
    parser.add_argument("--key", metavar="KEY", help="explain this key instead of a file's")
    add_json(parser)


def run(call: Invocation, options: Namespace) -> int:
    """Explain one file."""
    from annexd.cli.explaining import explain_file

    explanation = explain_file(call, options)
    for line in explanation.lines():
        call.reporter.info(line)
    call.reporter.record(explanation.record())
    return call.finish()
