"""The program: finds the command that the first word names, parses its options, runs it.

Installed as `annexd`; under the name `git-annex` it behaves the same and says git-annex where it names itself.
Only what every command needs is imported here, because git starts this program once per hook and filter.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from annexd.cli import registry
from annexd.errors import AnnexError, FatalError

_TAKES_VALUE = frozenset({"-C", "-c", "--config", "-N", "--numcopies", "--mincopies", "-J", "--jobs", "-T",
                          "--time-limit", "--size-limit"})
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, without the program's name; the exit status. Unknown errors leave as they came."""
    program = "git-annex" if os.path.basename(sys.argv[0]) == "git-annex" else "annexd"
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(program, words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away, as `| head` does; python must not complain about it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _dispatch(program: str, words: list[str]) -> int:
    before, name, after = _split(words)
    if name is None and ("--version" in before):
        name, before = "version", []
    if name is None or name == "help":
        return _help(program, before, after)
    entry = registry.find(name)
    if entry is None:
        return _usage(program, f"Invalid argument `{name}'")
    try:
        return _run(program, entry, before, after)
    except AnnexError as problem:  # boundary: one command
        print(f"{program}: {problem}", file=sys.stderr)
        return problem.exit_status if isinstance(problem, FatalError) else 1


def _run(program: str, entry: registry.Entry, before: list[str], after: list[str]) -> int:
    from annexd.cli.arguments import Parser, UsageProblem, add_common
    from annexd.cli.invocation import Invocation

    command = registry.load(entry)
    parser = Parser(f"{program} {entry.name}", "", entry.summary)
    try:
        command.configure(parser)
        add_common(parser)
        options = parser.parse([*_enter_directory(before), *after])
    except UsageProblem as problem:
        print(f"{problem.message}\n\n{problem.usage.rstrip()}", file=sys.stderr)
        return 1
    call = Invocation(program, entry.name, options)
    try:
        return command.run(call, options)
    finally:
        call.close()


def _split(words: list[str]) -> tuple[list[str], str | None, list[str]]:
    """Options in front of the command, the command, and the rest."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _TAKES_VALUE else 1
    if at >= len(words):
        return words, None, []
    return words[:at], words[at], words[at + 1 :]


def _enter_directory(before: list[str]) -> list[str]:
    """The options without `-C DIR`, which is obeyed. (Behind a command -C may mean something else.)"""
    rest: list[str] = []
    words = iter(before)
    for word in words:
        if word == "-C":
            _change_directory(next(words))
        else:
            rest.append(word)
    return rest


def _change_directory(directory: str) -> None:
    from annexd.errors import UserError

    try:
        os.chdir(directory)
    except OSError as problem:
        raise UserError(f"cannot change to {directory}: {problem.strerror}") from problem


def _help(program: str, before: list[str], after: list[str]) -> int:
    if after and (entry := registry.find(after[0])):
        return _run(program, entry, [], ["--help"])
    if after or "--help" in before or "-h" in before:
        print(_overview(program))
        return 0
    return _usage(program, "Missing: COMMAND")


def _usage(program: str, message: str) -> int:
    print(f"{message}\n\n{_overview(program)}", file=sys.stderr)
    return 1


def _overview(program: str) -> str:
    lines = [f"Usage: {program} COMMAND", "", f"  {program} - keeps folders in sync, with git-annex's repositories"]
    for group in registry.Group:
        lines += ["", f"  {group.value}:", ""]
        lines += [f"  {e.name:<15} {e.summary}" for e in registry.COMMANDS if e.group is group]
    return "\n".join(lines)
