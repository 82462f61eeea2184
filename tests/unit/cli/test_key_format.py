"""--format and the fields of a key."""

from __future__ import annotations

import pytest

from annexd.cli.key_format import fill_format, key_fields
from annexd.formats.key import Key


def test_the_fields_of_a_key() -> None:
    key = Key.parse(b"SHA256E-s6--5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03.txt")
    assert key_fields(key) == {
        "backend": "SHA256E",
        "bytesize": "6",
        "hashdirlower": "d91/b11/",
        "hashdirmixed": "mK/4w/",
        "humansize": "6 B",
        "key": str(key),
        "keyname": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03.txt",
        "mtime": "unknown",
    }


@pytest.mark.parametrize(
    ("template", "output"),
    [
        ("${file}\\n", b"a\\n\n"),
        ("${file}\\0", b"a\\n\0"),
        ("\\t\\x41\\101\\q", b"\tAAq"),
        ("[${nothing}]", b"[]"),
        ("${file:12}", b"${file:12}"),
    ],
)
def test_a_format_is_filled_in_and_values_are_left_alone(template: str, output: bytes) -> None:
    assert fill_format(template, {"file": "a\\n"}) == output
