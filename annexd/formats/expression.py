"""The grammar that matching expressions share: terms joined by and, or, not and parentheses.

"and" and "or" bind equally and from the left: "a or b and c" means "(a or b) and c". Terms without anything between
them are and-ed. Parentheses may be missing at either end.
Source: git-annex, matching expressions (checked with `git annex matchexpression`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from annexd.errors import ConfigError

Term = TypeVar("Term")

MAX_DEPTH = 100
MAX_TOKENS = 20000
"""Expressions come from other repositories; a deeper or longer one than this is not read."""

_TOKENS = re.compile(r"[()]|[^\s()]+")


@dataclass(frozen=True, slots=True)
class Always:
    """Matches everything: what an empty expression means."""


@dataclass(frozen=True, slots=True)
class And(Generic[Term]):
    """Matches what both parts match."""

    left: Node[Term]
    right: Node[Term]


@dataclass(frozen=True, slots=True)
class Or(Generic[Term]):
    """Matches what at least one part matches."""

    left: Node[Term]
    right: Node[Term]


@dataclass(frozen=True, slots=True)
class Not(Generic[Term]):
    """Matches what its part does not match."""

    part: Node[Term]


@dataclass(frozen=True, slots=True)
class Leaf(Generic[Term]):
    """One term."""

    term: Term


Node = Always | And[Term] | Or[Term] | Not[Term] | Leaf[Term]
"""An expression, read."""


def parse(text: str, read_term: Callable[[str], Term]) -> Node[Term]:
    """The expression that `text` spells. `read_term` raises ConfigError for what is no term; so does this."""
    tokens = _TOKENS.findall(text)
    return _Parser(tokens, read_term).expression(0)


def evaluate(node: Node[Term], holds: Callable[[Term], bool]) -> bool:
    """Whether the expression matches, when `holds` says so of its terms; asks only for terms that matter."""
    joints: list[And[Term] | Or[Term]] = []
    while isinstance(node, (And, Or)):  # a loop, as chains lean to the left and may be long
        joints.append(node)
        node = node.left
    if isinstance(node, Not):
        value = not evaluate(node.part, holds)
    else:
        value = True if isinstance(node, Always) else holds(node.term)
    for joint in reversed(joints):
        if value is isinstance(joint, And):
            value = evaluate(joint.right, holds)
    return value


def terms(node: Node[Term]) -> Iterator[Term]:
    """All terms of the expression, from left to right."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, Leaf):
            yield node.term
        elif isinstance(node, Not):
            pending.append(node.part)
        elif isinstance(node, (And, Or)):
            pending += (node.right, node.left)


class _Parser(Generic[Term]):
    def __init__(self, tokens: list[str], read_term: Callable[[str], Term]) -> None:
        if len(tokens) > MAX_TOKENS:
            raise ConfigError("the expression is too long")
        self._tokens = tokens
        self._next = 0
        self._read_term = read_term

    def expression(self, depth: int) -> Node[Term]:
        """Up to the parenthesis that closes it, which is taken as well, or to the end."""
        whole: Node[Term] | None = None
        while (token := self._take()) is not None:
            if token == ")":
                if depth:
                    break
                continue
            if token == "or":
                whole = Or(whole or Always(), self._operand(depth))
            elif token == "and":
                whole = _both(whole, self._operand(depth))
            else:
                self._next -= 1
                whole = _both(whole, self._operand(depth))
        return whole or Always()

    def _operand(self, depth: int) -> Node[Term]:
        """One term, or parentheses, or either behind any number of "not"; joining words before it do nothing."""
        if depth > MAX_DEPTH:
            raise ConfigError("the expression is nested too deeply")
        negate = False
        while (token := self._take()) is not None:
            if token == "not":
                negate = not negate
            elif token == ")":
                self._next -= 1
                break
            elif token not in ("and", "or"):
                part = self.expression(depth + 1) if token == "(" else Leaf(self._read_term(token))
                return Not(part) if negate else part
        return Not(Always()) if negate else Always()

    def _take(self) -> str | None:
        if self._next == len(self._tokens):
            return None
        self._next += 1
        return self._tokens[self._next - 1]


def _both(left: Node[Term] | None, right: Node[Term]) -> Node[Term]:
    if left is None or isinstance(left, Always):
        return right
    return left if isinstance(right, Always) else And(left, right)
