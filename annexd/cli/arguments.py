"""Options: how they are parsed, and the groups of them that several commands share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from annexd.errors import ConfigError
from annexd.formats.units import parse_duration, parse_size

_BAD_VALUE = re.compile(r"argument (\S+): ((?:failed to|cannot) parse .+)")
_ONE_OF_TWO = re.compile(r"argument (\S+): not allowed with argument \S+")
_MISSING_VALUE = re.compile(r"argument (.+): expected (?:one|at least one) argument")


class UsageProblem(Exception):
    """The command line does not follow the usage; holds what to print."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.message = message
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """Options anywhere between the words; everything that is no option lands in `words`."""

    def __init__(self, prog: str, words: str, summary: str) -> None:
        super().__init__(prog=prog, description=summary, allow_abbrev=False)
        self._words = words

    def set_words(self, words: str) -> None:
        """Say in the usage which words the command takes, e.g. "[PATH ...]"."""
        self._words = words

    def format_usage(self) -> str:
        """The usage with the words in front of the options, as git-annex prints it."""
        options = super().format_usage().replace(f"usage: {self.prog} ", "", 1).replace("[-h] ", "", 1)
        return f"Usage: {self.prog} {self._words} {options}".replace("  ", " ")

    def format_help(self) -> str:
        """What the command is for, its usage and its options."""
        rest = super().format_help().partition("\n\n")[2]
        return f"{self.prog} - {rest}".replace("\n\n", "\n\n" + self.format_usage() + "\n", 1)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The options, with `words` added. Raises UsageProblem."""
        head, tail = _split_at_dashes(argv)
        options, words = self.parse_known_args(head)
        for word in words:
            if word.startswith("-") and len(word) > 1:
                raise UsageProblem(f"Invalid option `{word}'", self.format_usage())
        options.words = [*words, *tail]
        return options

    def error(self, message: str) -> NoReturn:
        """Called by argparse. Raises UsageProblem with the wording of git-annex."""
        if found := _BAD_VALUE.fullmatch(message):
            message = f"option {found[1].rsplit('/')[-1]}: {found[2]}"
        elif found := _MISSING_VALUE.fullmatch(message):
            message = f"The option `{found[1].rsplit('/')[-1]}` expects an argument."
        elif found := _ONE_OF_TWO.fullmatch(message):
            message = f"Invalid option `{found[1].rsplit('/')[-1]}'"
        raise UsageProblem(message, self.format_usage())


class _Matching(argparse.Action):
    """Collects matching options in the order in which they were given, since that order is an expression."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        _option: str | None = None,
    ) -> None:
        terms = getattr(namespace, "matching", None) or []
        namespace.matching = [*terms, (self.const, values if isinstance(values, str) else "")]


def add_common(parser: Parser) -> None:
    """Options that every command takes."""
    group = parser.add_argument_group("options of every command")
    group.add_argument("-c", "--config", metavar="NAME=VALUE", action="append", default=[],
                       help="override git configuration setting")
    group.add_argument("-q", "--quiet", action="store_true", help="avoid verbose output")
    group.add_argument("-v", "--verbose", action="store_false", dest="quiet", help="allow verbose output (default)")
    group.add_argument("-d", "--debug", action="store_true", help="show debug messages")
    group.add_argument("--no-debug", action="store_false", dest="debug", help="don't show debug messages")
    group.add_argument("-F", "--fast", action="store_true", help="avoid slow operations")
    group.add_argument("--force", action="store_true", help="allow actions that may lose annexed data")
    group.add_argument("-N", "--numcopies", metavar="NUMBER", help="override desired number of copies")
    group.add_argument("--mincopies", metavar="NUMBER", help="override minimum number of copies")


def add_json(parser: Parser, *, progress: bool = False) -> None:
    """--json and what goes with it."""
    parser.add_argument("-j", "--json", action="store_true", help="enable JSON output")
    parser.add_argument("--json-error-messages", action="store_true", help="include error messages in JSON")
    if progress:
        parser.add_argument("--json-progress", action="store_true", help="include progress in JSON output")


def add_jobs(parser: Parser) -> None:
    """-J: how many files to work on at a time."""
    parser.add_argument("-J", "--jobs", metavar="NUMBER", help="enable concurrent jobs")


def add_batch(parser: Parser, *, keys: bool = False) -> None:
    """--batch: one file (or key) per line of the standard input."""
    parser.add_argument("--batch", action="store_true", help="enable batch mode")
    parser.add_argument("-z", action="store_true", dest="null", help="null delimited batch input")
    if keys:
        parser.add_argument("--batch-keys", action="store_true", help="enable batch mode, with keys input")


def add_keys(parser: Parser, *, incomplete: bool = False) -> None:
    """What to work on when it is not the files in the work tree; one of these at most."""
    which = parser.add_mutually_exclusive_group()
    if incomplete:
        which.add_argument("--incomplete", action="store_true", help="resume previous downloads")
    which.add_argument("-A", "--all", action="store_true", help="operate on all versions of all files")
    which.add_argument("--branch", metavar="REF", help="operate on files in the specified branch or treeish")
    which.add_argument("-U", "--unused", action="store_true", help="operate on what the last run of unused found")
    which.add_argument("--key", metavar="KEY", help="operate on specified key")
    which.add_argument("--failed", action="store_true", help="operate on files that recently failed to be transferred")


def add_branch(parser: Parser) -> None:
    """--branch: the files of another branch."""
    parser.add_argument("--branch", metavar="REF", help="operate on files in the specified branch or treeish")


def add_matching(parser: Parser) -> None:
    """Options that choose among the files; together they are one expression."""
    group = parser.add_argument_group("matching options")
    for names, metavar, text in _MATCHING:
        term = names[-1].lstrip("-")
        group.add_argument(*names, action=_Matching, const=term, dest="matching", metavar=metavar,
                           nargs=None if metavar else 0, help=text)
    add_time_limit(parser)
    parser.add_argument("--size-limit", metavar="SIZE", type=_size, help="total size of annexed files to process")


def add_time_limit(parser: Parser) -> None:
    """--time-limit: when to stop."""
    parser.add_argument("-T", "--time-limit", metavar="TIME", type=_time, help="stop after this amount of time")


_MATCHING: tuple[tuple[tuple[str, ...], str | None, str], ...] = (
    (("-i", "--in"), "REMOTE", "match files present in a repository"),
    (("-C", "--copies"), "NUMBER", "skip files with fewer copies"),
    (("--lackingcopies",), "NUMBER", "match files that need more copies"),
    (("--approxlackingcopies",), "NUMBER", "match files that need more copies (faster)"),
    (("-B", "--inbackend"), "NAME", "match files using a key-value backend"),
    (("--securehash",), None, "match files using a cryptographically secure hash"),
    (("--inallgroup",), "GROUP", "match files present in all repositories in a group"),
    (("--onlyingroup",), "GROUP", "match files that are only present in repositories in the group"),
    (("--metadata",), "FIELD=VALUE", "match files with attached metadata"),
    (("--unlocked",), None, "match files that are unlocked"),
    (("--locked",), None, "match files that are locked"),
    (("-x", "--exclude"), "GLOB", "skip files matching the glob pattern"),
    (("-I", "--include"), "GLOB", "limit to files matching the glob pattern"),
    (("--largerthan",), "SIZE", "match files larger than a size"),
    (("--smallerthan",), "SIZE", "match files smaller than a size"),
    (("--anything",), None, "match all files"),
    (("--nothing",), None, "don't match any files"),
    (("--not",), None, "negate next option"),
    (("--and",), None, "both previous and next option must match"),
    (("--or",), None, "either previous or next option must match"),
    (("-(",), None, "open group of options"),
    (("-)",), None, "close group of options"),
)


def _time(text: str) -> tuple[str, int]:
    """The words and the seconds that they mean."""
    try:
        return text, parse_duration(text)
    except ConfigError as problem:
        raise argparse.ArgumentTypeError(problem.message) from problem


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ConfigError as problem:
        raise argparse.ArgumentTypeError(f"cannot parse value `{text}'") from problem


def _split_at_dashes(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    if "--" not in argv:
        return list(argv), []
    at = argv.index("--")
    return list(argv[:at]), list(argv[at + 1 :])
