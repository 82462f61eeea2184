from __future__ import annotations

import pytest

from annexd.errors import FormatError, UnsafeKey
from annexd.formats import hash_dirs
from annexd.formats.key import Key, check_safe


def test_keys_with_equal_fields_are_equal_and_hash_alike() -> None:
    assert Key.parse(b"FOO-s06--a") == Key(b"FOO", b"a", 6)
    assert hash(Key.parse(b"FOO-s6--a")) == hash(Key(b"FOO", b"a", 6))
    assert Key(b"FOO", b"a", 6) != Key(b"FOO", b"a", 7)


def test_a_chunk_leads_back_to_its_whole_key_and_shares_its_directories() -> None:
    chunk = Key.parse(b"FOO-s31-S10-C2--x")
    assert chunk.without_chunk() == Key.parse(b"FOO-s31--x")
    assert hash_dirs.lower(chunk) == hash_dirs.lower(chunk.without_chunk())
    assert hash_dirs.mixed(chunk, 1) == hash_dirs.mixed(chunk.without_chunk())[:2]


@pytest.mark.parametrize("data", [b"", b"FOO", b"-s1--x", b"FOO-s" + b"9" * 5000 + b"--x", b"FOO-s\xd9\xa1--x"])
def test_what_is_no_key_is_refused_with_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        Key.parse(data)


def test_a_file_name_with_unknown_escapes_is_read_as_git_annex_reads_it() -> None:
    assert Key.from_file_name(b"FOO--&x&%&s") == Key(b"FOO", b"x&/%")


@pytest.mark.parametrize("name", [b"x" * 300, b"a\0b", b"&" * 130])
def test_a_key_that_cannot_be_a_file_name_is_unsafe(name: bytes) -> None:
    with pytest.raises(UnsafeKey):
        check_safe(Key(b"SHA256", name, 1))


def test_slashes_and_dots_are_safe_as_they_are_escaped() -> None:
    key = Key.parse(b"WORM-s1-m1--../../etc/passwd\n")
    assert check_safe(key) is key
    assert b"/" not in key.file_name()
