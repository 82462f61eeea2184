"""How many copies of content there have to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from annexd.annex.attribute_names import MINCOPIES, NUMCOPIES
from annexd.annex.state import AnnexState
from annexd.annex.worktree import annexed_paths
from annexd.formats.key import Key

DEFAULT = 1


class Copies(NamedTuple):
    """`numcopies` should exist, `mincopies` must, even when repositories are dropped from at the same time."""

    numcopies: int = DEFAULT
    mincopies: int = DEFAULT


def copies_for(state: AnnexState, path: bytes | None) -> Copies:
    """What is wanted for a file (from the top of the work tree), or for content that no file names.

    Attributes of the file count before numcopies.log and mincopies.log, those before git config. Source: git-annex,
    numcopies.
    """
    values = state.attributes.get(path) if path is not None and not state.repo.is_bare else {}
    settings, config = state.settings, state.config
    least = _first(_number(values.get(MINCOPIES)), settings.mincopies(), config.mincopies)
    wanted = _first(_number(values.get(NUMCOPIES)), settings.numcopies(), config.numcopies)
    return Copies(max(wanted, least), least)


def copies_for_key(state: AnnexState, key: Key, paths: Iterable[bytes] = ()) -> Copies:
    """The most that is wanted for any of the files: `paths`, and the unlocked ones that git's index has of the key."""
    files = {*paths, *(annexed_paths(state, key) if not state.repo.is_bare else ())}
    found = [copies_for(state, path) for path in files] or [copies_for(state, None)]
    return Copies(max(copies.numcopies for copies in found), max(copies.mincopies for copies in found))


def _first(*numbers: int | None) -> int:
    """The first that is set. One below 0 is taken for 0."""
    return next((max(number, 0) for number in numbers if number is not None), DEFAULT)


def _number(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) < 10 else None
