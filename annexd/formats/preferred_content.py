"""Preferred and required content: which keys a repository wants.

Source: git-annex, preferred content expressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Protocol, assert_never

from annexd.errors import ConfigError
from annexd.formats import expression
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.preferred_content_terms import (
    Copies,
    Exclude,
    InAllGroup,
    InBackend,
    Include,
    LackingCopies,
    LargerThan,
    Metadata,
    NumCopiesFrom,
    OnlyInGroup,
    SmallerThan,
    Term,
    Word,
    read_term,
)
from annexd.formats.standard_groups import standard_expression
from annexd.formats.uuid import UUID

Node = expression.Node[Term]


class Facts(Protocol):
    """What is known of one key, seen from the repository whose expression is asked. Nothing here may block long."""

    @property
    def path(self) -> bytes | None:
        """A path of the key from the top of the work tree; None when the key is looked at without a file."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes of the content, if known."""
        ...

    @property
    def backend(self) -> bytes:
        """The name of the key's backend."""
        ...

    @property
    def is_secure(self) -> bool:
        """Whether that backend is cryptographically secure."""
        ...

    @property
    def is_present(self) -> bool:
        """Whether the repository has the content; still True when a drop is only being considered."""
        ...

    @property
    def is_unused(self) -> bool:
        """Whether the key was found to be unused."""
        ...

    @property
    def preferred_dir(self) -> bytes:
        """The remote's setting `preferreddir`, by default b"public"."""
        ...

    def locations(self) -> Set[UUID]:
        """Repositories that are believed to have the content.

        Not those that are dead; and when a drop is considered, not the one it would be dropped from.
        """
        ...

    def trust(self, uuid: UUID) -> TrustLevel:
        """How far that repository is trusted."""
        ...

    def members(self, group: bytes) -> Set[UUID]:
        """The repositories in the group."""
        ...

    def numcopies(self, numcopies_from: NumCopiesFrom) -> int:
        """How many copies there should be."""
        ...

    def metadata(self, field: bytes) -> Set[bytes]:
        """The values of the metadata field, whose name is given folded."""
        ...


@dataclass(frozen=True, slots=True)
class Expression:
    """A preferred content expression, read."""

    node: Node

    def terms(self) -> tuple[Term, ...]:
        """All its terms, from left to right."""
        return tuple(expression.terms(self.node))


def parse(text: bytes) -> Expression:
    """The expression that `text` spells; an empty one wants everything. Raises ConfigError."""
    return Expression(expression.parse(text.decode("utf-8", "surrogateescape"), read_term))


KEEP_WHAT_IS_THERE = Expression(expression.Leaf(Word.PRESENT))
"""Stands for what cannot be read or resolved: nothing is fetched and nothing is dropped."""


def for_repository(text: bytes, groups: Set[bytes], group_expressions: Mapping[bytes, bytes]) -> Expression:
    """The expression of a repository in these groups, with "standard" and "groupwanted" filled in.

    `group_expressions` is what group-preferred-content.log says. Never raises: what cannot be read, as a newer
    git-annex may have written it, becomes `KEEP_WHAT_IS_THERE`.
    """
    standard = standard_expression(groups)
    standard_node = parse(standard.encode()).node if standard is not None else KEEP_WHAT_IS_THERE.node
    of_groups = [group_expressions[group] for group in groups if group_expressions.get(group)]
    group_node = KEEP_WHAT_IS_THERE.node
    if len(of_groups) == 1:
        wanted = _readable(of_groups[0])
        if Word.GROUP_WANTED not in wanted.terms():
            group_node = _filled_in(wanted.node, {Word.STANDARD: standard_node})
    places: dict[Term, Node] = {Word.STANDARD: standard_node, Word.GROUP_WANTED: group_node}
    return Expression(_filled_in(_readable(text).node, places))


def matches(wanted: Expression, facts: Facts) -> bool:
    """Whether the expression matches, as it stands."""
    return expression.evaluate(wanted.node, lambda term: _holds(term, facts, facts.is_present))


def wants(wanted: Expression, facts: Facts) -> bool:
    """Whether the repository wants to have the content, or to keep it.

    Content that would be unwanted as soon as it is there ("not present") is not wanted: else it would come and go
    for ever.
    """
    if not matches(wanted, facts):
        return False
    if facts.is_present or Word.PRESENT not in wanted.terms():
        return True
    return expression.evaluate(wanted.node, lambda term: _holds(term, facts, True))


def _readable(text: bytes) -> Expression:
    try:
        return parse(text)
    except ConfigError:
        return KEEP_WHAT_IS_THERE


def _filled_in(node: Node, places: Mapping[Term, Node]) -> Node:
    """The expression with each term that has a place in `places` replaced."""
    joints: list[expression.And[Term] | expression.Or[Term]] = []
    while isinstance(node, (expression.And, expression.Or)):
        joints.append(node)
        node = node.left
    filled: Node = node
    if isinstance(node, expression.Not):
        filled = expression.Not(_filled_in(node.part, places))
    elif isinstance(node, expression.Leaf) and isinstance(node.term, Word):
        filled = places.get(node.term, node)
    for joint in reversed(joints):
        right = _filled_in(joint.right, places)
        filled = expression.And(filled, right) if isinstance(joint, expression.And) else expression.Or(filled, right)
    return filled


def _holds(term: Term, facts: Facts, is_present: bool) -> bool:
    match term:
        case Word():
            return _word_holds(term, facts, is_present)
        case Include(glob):
            return facts.path is not None and glob.matches(facts.path)
        case Exclude(glob):
            return facts.path is not None and not glob.matches(facts.path)
        case LargerThan(size):
            return facts.size is not None and facts.size > size
        case SmallerThan(size):
            return facts.size is not None and facts.size < size
        case Copies():
            return _copies(term, facts) >= term.count
        case LackingCopies(count, numcopies_from):
            return facts.numcopies(numcopies_from) - _safe_copies(facts) >= count
        case InBackend(name):
            return facts.backend == name
        case InAllGroup(group):
            return facts.members(group) <= facts.locations()
        case OnlyInGroup(group):
            return bool(facts.locations()) and facts.locations() <= facts.members(group)
        case Metadata(field, test):
            return any(test(value) for value in facts.metadata(field))
        case _:
            assert_never(term)


def _word_holds(word: Word, facts: Facts, is_present: bool) -> bool:
    match word:
        case Word.ANYTHING:
            return True
        case Word.NOTHING:
            return False
        case Word.PRESENT | Word.STANDARD | Word.GROUP_WANTED:  # the last two only when nobody filled them in
            return is_present
        case Word.SECURE_HASH:
            return facts.is_secure
        case Word.UNUSED:
            return facts.is_unused
        case Word.IN_PREFERRED_DIR:
            return facts.path is not None and facts.path.split(b"/")[-2:-1] == [facts.preferred_dir]
        case _:
            assert_never(word)


def _copies(term: Copies, facts: Facts) -> int:
    holders = facts.locations()
    if term.group is not None:
        holders = holders & facts.members(term.group)
    if term.levels is not None:
        return sum(facts.trust(uuid) in term.levels for uuid in holders)
    return len(holders)


def _safe_copies(facts: Facts) -> int:
    return sum(facts.trust(uuid) is not TrustLevel.UNTRUSTED for uuid in facts.locations())
