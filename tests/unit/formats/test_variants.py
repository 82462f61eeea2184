"""Names for versions in conflict: always one more, always one that a file system takes."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annexd.formats.key import Key
from annexd.formats.variants import LONGEST_NAME, plain_variant_paths, variant_path, variant_paths

KEY = Key(b"SHA256E", b"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b.txt", 1)
OID = b"56a6051ca2b02b04ef92d5150c9ef600403cb1de"

names = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name)
paths = st.lists(names, min_size=1, max_size=3).map(b"/".join)


@given(paths)
def test_there_are_always_further_names_that_fit(path: bytes) -> None:
    for found in (variant_paths(path, KEY), plain_variant_paths(path, OID)):
        several = list(islice(found, 5))
        assert len(set(several)) == 5 and path not in several
        for name in several:
            assert len(name.rpartition(b"/")[2]) <= LONGEST_NAME


@given(paths)
def test_what_is_not_annexed_stays_in_its_directory(path: bytes) -> None:
    for name in islice(plain_variant_paths(path, OID), 4):
        assert name.rpartition(b"/")[0] == path.rpartition(b"/")[0]


def test_the_first_name_is_that_of_git_annex() -> None:
    assert next(variant_paths(b"d/f.txt", KEY)) == variant_path(b"d/f.txt", KEY) == b"d/f.variant-2355.txt"


@pytest.mark.parametrize(("path", "wanted"), [
    (b"f.tar.gz", [b"f.tar.variant-56a6.gz", b"f.tar.variant-%b.gz" % OID, b"f.tar.variant-%b-1.gz" % OID]),
    (b"f", [b"f.variant-56a6", b"f.variant-%b" % OID, b"f.variant-%b-1" % OID]),
    (b"d/.hidden", [b"d/.hidden.variant-56a6", b"d/.hidden.variant-%b" % OID]),
    (b"f.variant-1234.c", [b"f.variant-1234.variant-%b.c" % OID, b"f.variant-1234.variant-%b-1.c" % OID]),
])  # fmt: skip
def test_names_of_versions_kept_in_git(path: bytes, wanted: list[bytes]) -> None:
    assert list(islice(plain_variant_paths(path, OID), len(wanted))) == wanted


def test_a_name_is_not_cut_within_a_letter() -> None:
    name = next(plain_variant_paths("ä".encode() * 127 + b".c", OID))
    assert name.decode().startswith("ä" * 50) and name.endswith(b".c") and len(name) <= LONGEST_NAME
