"""Names of variants lead back to the file that was in conflict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.formats.key import Key
from annexd.formats.variant_names import is_variant, numbered, original_path
from annexd.formats.variants import plain_variant_paths, variant_path

KEY = Key(b"SHA256E", b"9b2bf32817ac619c88db69e963381c66c9437391d3a894580967c06f93807ad9.txt", 4)
NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: not {47, 0} & set(name) and b".variant-" not in name)


@given(st.lists(NAMES, max_size=2), NAMES.filter(lambda name: not name.startswith(b".") and not name.endswith(b".")))
def test_a_variant_leads_back_to_its_file(directories: list[bytes], name: bytes) -> None:
    path = b"/".join([*directories, name])
    variant = variant_path(path, KEY)
    assert is_variant(variant)
    assert original_path(variant) == path
    assert original_path(next(plain_variant_paths(path, b"ab" * 20))) == path


def test_a_variant_of_a_variant_leads_back_as_far() -> None:
    assert original_path(variant_path(variant_path(b"d/f.txt", KEY), KEY)) == b"d/f.txt"
    assert original_path(variant_path(b".hidden", KEY)) == b".hidden"
    assert original_path(b"d.variant-1/f.txt") == b"d.variant-1/f.txt"
    assert not is_variant(b"d.variant-1/f.txt")


@pytest.mark.parametrize(("path", "number", "name"), [
    (b"d/f.txt", 1, b"d/f (laptop).txt"), (b"f", 2, b"f (laptop 2)"), (b".hid", 1, b".hid (laptop)"),
])  # fmt: skip
def test_plain_names(path: bytes, number: int, name: bytes) -> None:
    assert numbered(path, b"laptop", number) == name
