"""`diffdriver`: between git and an external diff program, shows it the content of annexed files."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import UserError

if TYPE_CHECKING:
    from annexd.annex.state import AnnexState
    from annexd.formats.key import Key

_LINK = "120000"
_UNMERGED = 1       # the path comes alone
_COMPARED = 7       # path, then file, object and mode of the old side and of the new
_RENAMED = 9        # the new path, and what else git says of it, follow; git-annex refuses these


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("[-- cmd --]")
    parser.add_argument("--text", action="store_true", help="diff text files with diff(1)")
    parser.add_argument("--get", action="store_true", help="get file contents from remotes")


def run(call: Invocation, options: Namespace) -> int:
    """Run the program on the files that git gave us, or on the content that they stand for; 1 when it fails.

    Source: git, documentation of GIT_EXTERNAL_DIFF; git-annex, diffdriver.
    """
    program, asked = ([], list(options.words)) if options.text else _split(options.words)
    if len(asked) not in (_UNMERGED, _COMPARED, _RENAMED):
        raise UserError(f"Unexpected input: {' '.join(options.words)}")
    annex = call.annex()
    for file, mode in ((1, 3), (4, 6)) if len(asked) > _UNMERGED else ():
        asked[file] = _content(call, annex, asked[file], asked[mode], get=options.get)
    if call.acted:
        call.save()
    sys.stdout.flush()
    if not options.text:
        return 0 if _runs([*program, *asked]) == 0 else 1
    print(f"diff a/{asked[0]} b/{asked[_COMPARED] if len(asked) == _RENAMED else asked[0]}", flush=True)
    if len(asked) == _UNMERGED:
        return 1
    _runs(["diff", "-u", "--", asked[1], asked[4]])
    return 0


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The program with its options, and what git wants to know."""
    if "--" not in words or words[0] == "--":
        raise UserError(f"Unexpected input: {' '.join(words)}")
    at = list(words).index("--")
    return list(words[:at]), list(words[at + 1 :])


def _runs(argv: Sequence[str]) -> int:
    try:
        return subprocess.run(argv, check=False).returncode
    except OSError as problem:
        raise UserError(f"{argv[0]}: {problem.strerror}") from problem


def _content(call: Invocation, annex: AnnexState, file: str, mode: str, *, get: bool) -> str:
    key = _key(file, is_link=mode == _LINK)
    if key is None:
        return file
    place = annex.store.locate(key)
    if place is None and get:
        _get(call, annex, key)
        place = annex.store.locate(key)
    return os.fsdecode(os.path.relpath(place or annex.layout.object_path(key)))


def _key(file: str, *, is_link: bool) -> Key | None:
    """What the file stands for. Git writes the text of a link into a regular file when it comes from a commit."""
    from annexd.formats.pointer import MAX_POINTER, parse_link, parse_pointer

    path = os.fsencode(file)
    try:
        if os.path.islink(path):
            return parse_link(os.readlink(path)) if is_link else None
        if not os.path.isfile(path) or os.path.getsize(path) > MAX_POINTER:
            return None
        with open(path, "rb") as opened:
            text = opened.read(MAX_POINTER + 1)
    except OSError:
        return None
    return (parse_link(text) if is_link else None) or parse_pointer(text)


def _get(call: Invocation, annex: AnnexState, key: Key) -> None:
    from annexd.cli.content import Arrivals, Remotes, fetch
    from annexd.cli.seek import Item

    remotes, arrivals, item = Remotes(call), Arrivals(call), Item(key)
    try:
        with call.acting(command="get", key=key) as action:
            fetch(remotes, annex, item, action, remotes.having(annex, key))
            arrivals.add(annex, key)
    finally:
        arrivals.settle(annex)
        remotes.close()
