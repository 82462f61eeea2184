"""Keys from content, against what a real git-annex made of the same content."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from annexd.backends import registry
from annexd.errors import ConfigError
from annexd.formats.key import Key
from annexd.formats.worm import worm_name

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())
UNCHECKED = {b"SKEIN256", b"SKEIN512", b"BLAKE2SP224"}


def raw(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else str(value).encode()


def content(spec: dict[str, Any]) -> bytes:
    if "text" in spec:
        return str(spec["text"]).encode()
    if "hex" in spec:
        return bytes.fromhex(spec["hex"])
    if "repeat" in spec:
        return (str(spec["repeat"]).encode() * int(spec["size"]))[: int(spec["size"])]
    blocks = (hashlib.sha256(str(number).encode()).digest() for number in range(spec["counter"] // 32 + 1))
    return b"".join(blocks)[: spec["counter"]]


def can_hash(case: dict[str, Any]) -> bool:
    name = raw(case["backend"])
    return name != b"WORM" and name.removesuffix(b"E") not in UNCHECKED


HASHED = [case for case in VECTORS["keys"] if can_hash(case)]
WORM = [case for case in VECTORS["keys"] if case["backend"] == "WORM"]
OTHER = [case for case in VECTORS["keys"] if not can_hash(case) and case["backend"] != "WORM"]


def label(case: dict[str, Any]) -> str:
    return ascii((case["backend"], case["name"]))[:60]


@pytest.mark.parametrize("case", HASHED, ids=label)
def test_content_gets_the_key_that_git_annex_gives_it(case: dict[str, Any]) -> None:
    backend = registry.backend_for_new_keys(raw(case["backend"]))
    hasher = backend.hasher()
    assert hasher is not None
    data = content(case["content"])
    for start in range(0, len(data), 70001):
        hasher.update(memoryview(data)[start : start + 70001])
    settings = dict(pair.split("=") for pair in case.get("config", []))
    length, count = (int(settings.get("annex." + n, d)) for n, d in (("maxextensionlength", 4), ("maxextensions", 2)))
    digest = hasher.hexdigest()
    key = registry.key_for_digest(backend, digest, len(data), raw(case["name"]), length, count)
    assert bytes(key) == raw(case["key"])
    assert registry.verify(key, digest)
    assert not registry.verify(key, digest[:-1] + ("0" if digest[-1] != "0" else "1"))


@pytest.mark.parametrize("case", WORM, ids=label)
def test_worm_keys_are_those_of_git_annex(case: dict[str, Any]) -> None:
    key = registry.worm_key(raw(case["name"]), len(content(case["content"])), int(case["mtime"]))
    assert bytes(key) == raw(case["key"])


@pytest.mark.parametrize("case", OTHER, ids=label)
def test_keys_of_hashes_that_we_lack_are_known_but_not_checked(case: dict[str, Any]) -> None:
    key = Key.parse(raw(case["key"]))
    backend = registry.backend(key.backend)
    assert backend is not None
    assert backend.hasher() is None
    assert backend.is_cryptographically_secure
    with pytest.raises(ConfigError):
        registry.backend_for_new_keys(key.backend)


@pytest.mark.parametrize("case", VECTORS["url_keys"], ids=lambda case: case["url"][:40])
def test_keys_of_urls_are_named_as_by_git_annex(case: dict[str, Any]) -> None:
    key = Key(b"VURL", worm_name(raw(case["url"])))
    assert bytes(key) == raw(case["key"])
    assert key.file_name() == raw(case["file"])


def test_every_backend_of_git_annex_is_known() -> None:
    assert {case["backend"].encode() for case in VECTORS["keys"]} <= set(registry.names())
    assert registry.backend(b"XEXTERNAL") is None


@pytest.mark.parametrize("name", [b"MD5E", b"SHA1", b"XXH3", b"WORM", b"URL"])
def test_weak_backends_do_not_count_as_secure(name: bytes) -> None:
    backend = registry.backend(name)
    assert backend is not None
    assert not backend.is_cryptographically_secure


def test_files_cannot_be_added_with_a_backend_that_makes_no_keys_of_files() -> None:
    assert registry.backend_for_new_keys(b"WORM").hasher() is None
    for name in (b"URL", b"VURL", b"NOSUCH", b"XEXTERNAL"):
        with pytest.raises(ConfigError, match=name.decode()):
            registry.backend_for_new_keys(name)


def test_a_backslash_before_the_digest_is_forgiven() -> None:
    assert registry.verify(Key.parse(rb"SHA1-s1--\abc"), "abc")


def test_keys_without_a_digest_never_verify() -> None:
    assert not registry.verify(Key.parse(b"WORM-s1-m1--abc"), "abc")
    assert not registry.verify(Key.parse(b"XFOO-s1--abc"), "abc")


def test_a_file_is_hashed_from_where_it_stands_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"skipped" + b"x" * 3_000_001)
    hasher = hashlib.sha256()
    fd = os.open(file, os.O_RDONLY)
    try:
        os.lseek(fd, 7, os.SEEK_SET)
        registry.hash_file(fd, hasher)
    finally:
        os.close(fd)
    assert hasher.hexdigest() == hashlib.sha256(b"x" * 3_000_001).hexdigest()
