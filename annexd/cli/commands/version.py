"""`version`: which program this is, and what it can do."""

from __future__ import annotations

import os
from argparse import Namespace

from annexd import __version__
from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.add_argument("--raw", action="store_true", help="output only program version")


def run(call: Invocation, options: Namespace) -> int:
    """Print the version; in an annex, also the repository's."""
    if options.raw:
        call.reporter.line(__version__.encode())
        return 0
    from annexd.annex.config import SUPPORTED_VERSIONS
    from annexd.backends import registry as backends

    system = os.uname()
    facts = [
        (f"{call.program} version", __version__ if call.program == "annexd" else f"{__version__} (annexd)"),
        ("key/value backends", " ".join(name.decode() for name in backends.names())),
        ("remote types", "git"),
        ("operating system", f"{system.sysname.lower()} {system.machine}"),
        ("supported repository versions", " ".join(str(v) for v in sorted(SUPPORTED_VERSIONS))),
    ]
    local = _local_version()
    if local is not None:
        facts.append(("local repository version", str(local)))
    for name, value in facts:
        call.reporter.info(f"{name}: {value}")
    return 0


def _local_version() -> int | None:
    from annexd.annex.config import AnnexConfig
    from annexd.errors import RepositoryError
    from annexd.git.config import GitConfig
    from annexd.git.repository import GitRepository

    try:
        return AnnexConfig.load(GitConfig.load(GitRepository.discover(os.getcwdb()))).version
    except RepositoryError:
        return None
