"""The expression that matching options (--in, --not, --copies ...) form together."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from annexd.annex.state import AnnexState
from annexd.cli.repositories import uuid_named
from annexd.errors import UserError
from annexd.formats.key import Key
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.paths import from_text
from annexd.formats.units import parse_size
from annexd.formats.uuid import UUID

Term = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What terms look at. `path` is from the top of the work tree, `shown` from the current directory.

    `locations` is asked for only by terms that need it.
    """

    key: Key
    path: bytes | None
    shown: bytes | None
    is_unlocked: bool | None
    locations: Callable[[], frozenset[UUID]]


Predicate = Callable[[Candidate], bool]


def compile_matching(
    annex: AnnexState, terms: Sequence[Term] | None, wanted_copies: Callable[[bytes | None], int]
) -> Predicate | None:
    """The expression as one predicate; None when there are no terms. Raises UserError.

    `wanted_copies(path)` is numcopies of a file, for --lackingcopies. Terms side by side are joined by "and";
    "and" and "or" bind alike, from left to right, as in git-annex.
    """
    if not terms:
        return None
    tokens = list(terms)
    predicate = _Parser(annex, tokens, wanted_copies).expression()
    if tokens:
        raise UserError("unbalanced parentheses in matching options")
    return predicate


class _Parser:
    """Reads terms from the front of the list."""

    def __init__(self, annex: AnnexState, terms: list[Term], wanted_copies: Callable[[bytes | None], int]) -> None:
        self._annex = annex
        self._terms = terms
        self._wanted_copies = wanted_copies

    def expression(self) -> Predicate:
        """Terms up to the end or a closing parenthesis, joined from left to right."""
        whole = self._negatable()
        while self._terms and self._terms[0][0] != ")":
            joiner = self._terms.pop(0)[0] if self._terms[0][0] in ("and", "or") else "and"
            whole = _joined(joiner, whole, self._negatable())
        return whole

    def _negatable(self) -> Predicate:
        if not self._terms:
            raise UserError("a matching option is missing at the end")
        name, value = self._terms.pop(0)
        if name == "not":
            inner = self._negatable()
            return lambda c: not inner(c)
        if name == "(":
            group = self.expression()
            if not self._terms or self._terms.pop(0)[0] != ")":
                raise UserError("unbalanced parentheses in matching options")
            return group
        if name in ("and", "or", ")"):
            raise UserError(f"--{name} needs a matching option in front of it")
        return self._term(name, value)

    def _term(self, name: str, value: str) -> Predicate:
        match name:
            case "anything":
                return lambda _c: True
            case "nothing":
                return lambda _c: False
            case "locked":
                return lambda c: c.is_unlocked is False
            case "unlocked":
                return lambda c: c.is_unlocked is True
            case "in":
                return self._in(value)
            case "copies":
                return self._copies(value)
            case "lackingcopies" | "approxlackingcopies":
                return self._lacking(name, value)
            case "include" | "exclude":
                return _glob(value, wanted=name == "include")
            case "largerthan" | "smallerthan":
                return _size(name, value)
            case "inbackend":
                backend = from_text(value)
                return lambda c: c.key.backend == backend
            case "securehash":
                return _is_secure
            case "inallgroup" | "onlyingroup":
                return self._group(name, from_text(value))
            case "metadata":
                return self._metadata(value)
            case _:
                raise AssertionError(name)

    def _in(self, value: str) -> Predicate:
        uuid = uuid_named(self._annex, value.partition("@")[0])
        if uuid == self._annex.uuid:
            store = self._annex.store
            return lambda c: store.is_present(c.key)
        return lambda c: uuid in c.locations()

    def _copies(self, value: str) -> Predicate:
        which, colon, number = value.rpartition(":")
        needed = _number(number, "copies")
        settings = self._annex.settings
        if not colon:
            return lambda c: len(self._counted(c)) >= needed
        levels = {level.name.lower(): level for level in TrustLevel}
        if which.rstrip("+") in levels:
            level = levels[which.rstrip("+")]
            accepted = {level, TrustLevel.TRUSTED} if which.endswith("+") else {level}
            return lambda c: sum(settings.trust(uuid) in accepted for uuid in c.locations()) >= needed
        group = from_text(which)
        return lambda c: sum(group in settings.groups(uuid) for uuid in c.locations()) >= needed

    def _lacking(self, name: str, value: str) -> Predicate:
        lacking = _number(value, name)
        return lambda c: self._wanted_copies(c.path) - len(self._counted(c)) >= lacking

    def _counted(self, candidate: Candidate) -> list[UUID]:
        """Places whose copy counts: not the untrusted ones."""
        trust = self._annex.settings.trust
        return [u for u in candidate.locations() if trust(u) not in (TrustLevel.UNTRUSTED, TrustLevel.DEAD)]

    def _group(self, name: str, group: bytes) -> Predicate:
        settings = self._annex.settings
        members = frozenset(u for u in settings.descriptions if group in settings.groups(u))
        if name == "inallgroup":
            return lambda c: members <= c.locations()
        return lambda c: bool(c.locations()) and c.locations() <= members

    def _metadata(self, value: str) -> Predicate:
        from annexd.formats.branch_paths import metadata_log
        from annexd.formats.logs import metadata

        field, equals, glob = value.partition("=")
        if not equals:
            raise UserError(f"bad metadata expression: {value}", hint="write FIELD=GLOB")
        name = metadata.fold(from_text(field))
        pattern = re.compile(fnmatch.translate(glob), re.IGNORECASE)
        branch, levels = self._annex.branch, self._annex.layout.branch_levels

        def matches(candidate: Candidate) -> bool:
            values = metadata.current(branch.read(metadata_log(candidate.key, levels))).get(name, frozenset())
            return any(pattern.match(v.decode("utf-8", "surrogateescape")) for v in values)

        return matches


def _joined(joiner: str, left: Predicate, right: Predicate) -> Predicate:
    if joiner == "or":
        return lambda c: left(c) or right(c)
    return lambda c: left(c) and right(c)


def _glob(glob: str, *, wanted: bool) -> Predicate:
    pattern = re.compile(fnmatch.translate(glob))

    def matches(candidate: Candidate) -> bool:
        if candidate.shown is None:
            return False
        return bool(pattern.match(candidate.shown.decode("utf-8", "surrogateescape"))) is wanted

    return matches


def _size(name: str, value: str) -> Predicate:
    limit = parse_size(value)
    if name == "largerthan":
        return lambda c: c.key.size is not None and c.key.size > limit
    return lambda c: c.key.size is not None and c.key.size < limit


def _is_secure(candidate: Candidate) -> bool:
    from annexd.backends.registry import backend

    known = backend(candidate.key.backend)
    return known is not None and known.is_cryptographically_secure


def _number(text: str, what: str) -> int:
    if not text.isdigit():
        raise UserError(f"bad number for {what}")
    return int(text)


def needs_locations(terms: Sequence[Term] | None) -> bool:
    """Whether reading location logs ahead, many at a time, will pay."""
    return any(name in _ABOUT_LOCATIONS for name, _ in terms or ())


_ABOUT_LOCATIONS = frozenset(("in", "copies", "lackingcopies", "approxlackingcopies", "inallgroup", "onlyingroup"))
