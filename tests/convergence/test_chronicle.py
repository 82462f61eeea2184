"""What counts as superseded."""

from __future__ import annotations

import pytest

from annexd.formats.variants import variant_paths
from tests.convergence.chronicle import Chronicle
from tests.support.annexes import key_of

LONGEST = b"L" * 251 + b".dat"
SHORTENED = next(variant_paths(LONGEST, key_of(b"any", b".dat")))

@pytest.mark.parametrize(
    ("written", "removed", "is_lost"),
    [
        (b"d/f.txt", b"d/f.variant-1234.txt", False),
        (b"d/f.txt", b"d/f.variant-0123456789012345678901234567890123456789.txt", False),
        (b"d/.hid", b"d.variant-1234.hid", False),
        (LONGEST, SHORTENED, False),
        (LONGEST, next(variant_paths(SHORTENED, key_of(b"another", b".dat"))), False),
        (LONGEST + b"/f.txt", SHORTENED + b"/f.variant-1234.txt", False),
        (LONGEST, b"n1-" + LONGEST[-200:], True),
        (b"s.variant-12ab.txt/f.txt", b"s.variant-12ab.txt/f.variant-1234.txt", False),
        (b"s.variant-12ab.txt/f.txt", b"s.variant-12ab.txt/g.txt", True),
    ],
)
def test_who_removes_a_variant_supersedes_what_it_holds(written: bytes, removed: bytes, is_lost: bool) -> None:
    chronicle, token = Chronicle(), frozenset((b"text 1",))
    chronicle.wrote(written, token, frozenset(), "write")
    chronicle.wrote(removed, frozenset(), token, "remove")
    assert bool(chronicle.faults({})) is is_lost


def test_who_writes_to_one_name_of_a_hard_link_supersedes_what_it_held_under_both() -> None:
    chronicle, old = Chronicle(), frozenset((b"old",))
    chronicle.linked(b"d/f.dat", b"g.dat")
    chronicle.wrote(b"g.dat", old, frozenset(), "hard link")
    chronicle.wrote(b"d/f.dat", frozenset((b"new",)), old, "save")
    assert not chronicle.faults({b"g.dat": frozenset((b"new",))})


def test_what_is_only_at_the_other_name_of_a_hard_link_is_kept_and_what_is_at_neither_is_lost() -> None:
    chronicle, token = Chronicle(), frozenset((b"token",))
    chronicle.linked(b"d/f.dat", b"g.dat")
    chronicle.wrote(b"d/f.dat", token, frozenset(), "save")
    assert not chronicle.faults({b"g.dat": token})
    assert chronicle.faults({b"h.dat": token})
