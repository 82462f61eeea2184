"""Adjusted branches: their names, and what each kind does to a file.

Source: git-annex, names of adjusted branches, and `git annex adjust`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

_HEADS = b"refs/heads/"
_ADJUSTED = _HEADS + b"adjusted/"
_BASIS = b"refs/basis/adjusted/"


class Links(enum.Enum):
    """What becomes of annexed files, by git-annex's word for it."""

    UNLOCK = b"unlocked"
    LOCK = b"locked"
    FIX = b"fixed"
    UNFIX = b"unfixed"
    UNLOCK_PRESENT = b"unlockpresent"
    """Unlocked where the content is here, else locked."""
    LOCK_PRESENT = b"lockpresent"


class Hide(enum.Enum):
    """Which annexed files are left out."""

    NOTHING = b"showmissing"
    MISSING = b"hidemissing"
    UNWANTED = b"hideunwanted"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """How an adjusted branch differs from the original one; without either it does not."""

    links: Links | None = None
    hide: Hide = Hide.NOTHING

    def __bytes__(self) -> bytes:
        parts = () if self.hide is Hide.NOTHING else (self.hide.value,)
        return b"-".join((*parts, *(() if self.links is None else (self.links.value,))))

    @classmethod
    def parse(cls, text: bytes) -> Adjustment | None:
        """The adjustment of this name; None for what is no such name."""
        found = _BY_NAME.get(text)
        if found is not None:
            return found
        first, _, second = text.partition(b"-")
        hide, links = _BY_NAME.get(first), _BY_NAME.get(second)
        if hide is None or links is None or hide.links is not None or links.links in (None, *_BY_PRESENCE):
            return None
        return cls(links.links, hide.hide)

    @property
    def is_stable(self) -> bool:
        """Whether the adjusted tree depends on the original one alone, and not on what content is here."""
        return self.hide is Hide.NOTHING and self.links is not Links.UNLOCK_PRESENT

    @property
    def unlocks(self) -> bool:
        """Whether a new file belongs into the branch unlocked."""
        return self.links in (Links.UNLOCK, Links.UNLOCK_PRESENT)

    def reversed(self) -> Adjustment:
        """What is done to a changed file on its way back to the original branch: it becomes locked, mostly."""
        return Adjustment(_REVERSED[self.links])


@dataclass(frozen=True, slots=True)
class AdjustedBranch:
    """An adjusted branch by the full names of its refs."""

    ref: bytes
    original: bytes
    adjustment: Adjustment

    @property
    def basis(self) -> bytes:
        """The ref that says which original commit the branch was made from: others may push to the original one."""
        return _BASIS + self.ref.removeprefix(_ADJUSTED)


def adjusted_branch(ref: bytes | None) -> AdjustedBranch | None:
    """The adjusted branch of this full name; None when it is an ordinary one."""
    if ref is None or not ref.startswith(_ADJUSTED):
        return None
    base, _, rest = ref.removeprefix(_ADJUSTED).partition(b"(")
    adjustment = Adjustment.parse(rest.partition(b")")[0])
    return None if adjustment is None or not base else AdjustedBranch(ref, _HEADS + base, adjustment)


def adjusted_from(original: bytes, adjustment: Adjustment) -> AdjustedBranch:
    """The branch that an adjustment makes of the branch of this full name."""
    ref = b"%b%b(%b)" % (_ADJUSTED, original.removeprefix(_HEADS), bytes(adjustment))
    return AdjustedBranch(ref, original, adjustment)


_BY_PRESENCE = (Links.UNLOCK_PRESENT, Links.LOCK_PRESENT)
_BY_NAME = {
    **{links.value: Adjustment(links) for links in Links},
    **{hide.value: Adjustment(None, hide) for hide in Hide},
}
_REVERSED = {
    None: None,
    Links.UNLOCK: Links.LOCK,
    Links.LOCK: Links.LOCK,     # a file stays locked when it leaves a branch that has all of them locked
    Links.FIX: Links.UNFIX,
    Links.UNFIX: Links.FIX,
    Links.UNLOCK_PRESENT: Links.LOCK_PRESENT,
    Links.LOCK_PRESENT: Links.UNLOCK_PRESENT,
}
