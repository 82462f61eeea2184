"""What a real git-annex wrote, against what we make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annexd.formats import branch_paths, hash_dirs, journal_names, pointer
from annexd.formats.key import FormatError, Key
from annexd.formats.logs import presence
from annexd.formats.union_merge import union_merge
from annexd.formats.vector_clock import VectorClock

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())


def raw(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value.encode()


def maybe(value: Any) -> bytes | None:
    return None if value is None else raw(value)


def named(cases: list[Any], field: str) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[ascii(case[field])[:60] for case in cases])


@named(VECTORS["key_parse"], "key")
def test_a_string_is_a_key_or_not_as_git_annex_says(case: dict[str, Any]) -> None:
    if not case["valid"]:
        with pytest.raises(FormatError):
            Key.parse(raw(case["key"]))
        return
    key = Key.parse(raw(case["key"]))
    assert bytes(key) == raw(case["canonical"])
    assert (key.backend, key.name) == (raw(case["backend"]), raw(case["name"]))
    assert (key.size, key.mtime) == (case["size"], case["mtime"])


@named(VECTORS["hash_dirs"], "key")
def test_everything_derived_from_a_key_is_as_git_annex_has_it(case: dict[str, Any]) -> None:
    key = Key.parse(raw(case["key"]))
    name = raw(case["file"])
    assert key.file_name() == name
    assert Key.from_file_name(name) == key
    assert hash_dirs.lower(key) + b"/" == raw(case["lower2"])
    assert hash_dirs.mixed(key) + b"/" == raw(case["mixed2"])
    assert hash_dirs.lower(key, 1) + b"/" == raw(case["lower1"])
    assert hash_dirs.mixed(key, 1) + b"/" == raw(case["mixed1"])
    assert b".git/annex/objects/%b/%b/%b" % (hash_dirs.mixed(key), name, name) == raw(case["object_path"])
    assert pointer.pointer_for(key) == raw(case["pointer"])
    if case["log_path"]:
        assert branch_paths.location_log(key) == raw(case["log_path"])
        assert branch_paths.key_of_location_log(raw(case["log_path"])) == key
    if case["log_path_branchhash1"]:
        assert branch_paths.location_log(key, 1) == raw(case["log_path_branchhash1"])
        assert branch_paths.key_of_location_log(raw(case["log_path_branchhash1"]), 1) == key


@pytest.mark.parametrize("case", VECTORS["links"])
def test_link_targets_are_those_of_git_annex(case: dict[str, Any]) -> None:
    key = Key.parse(raw(case["key"]))
    hashed = hash_dirs.lower if "objecthashlower" in case["tune"] else hash_dirs.mixed
    levels = 1 if "objecthash1" in case["tune"] else 2
    name = key.file_name()
    object_path = b".git/annex/objects/%b/%b/%b" % (hashed(key, levels), name, name)
    assert pointer.link_target(raw(case["file"]), object_path) == raw(case["target"])
    assert pointer.parse_link(raw(case["target"])) == key


def pointer_blob(spec: Any) -> bytes:
    if isinstance(spec, str):
        return spec.encode()
    body = "/annex/objects/SHA256E-s6--5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\n"
    while (missing := spec["pad_to"] - len(body)) > 0:
        size = min(100, missing)
        size -= 10 if 0 < missing - size < 10 else 0
        body += "/annex/" + "p" * (size - 8) + "\n"
    return body.encode()


@pytest.mark.parametrize("case", VECTORS["pointers"])
def test_a_blob_is_a_pointer_or_not_as_git_annex_says(case: dict[str, Any]) -> None:
    key = pointer.parse_pointer(pointer_blob(case["blob"]))
    assert (None if key is None else bytes(key)) == maybe(case["key_from_blob"])


@named(VECTORS["journal_names"], "branch_path")
def test_journal_files_are_named_as_git_annex_names_them(case: dict[str, Any]) -> None:
    assert journal_names.to_journal_name(raw(case["branch_path"])) == raw(case["journal_file"])
    assert journal_names.from_journal_name(raw(case["journal_file"])) == raw(case["branch_path"])


@pytest.mark.parametrize("case", VECTORS["union_merge"]["cases"])
def test_union_merge_writes_the_blob_that_git_annex_writes(case: dict[str, Any]) -> None:
    assert union_merge(maybe(case["local"]), maybe(case["remote"])) == raw(case["merged"])


@named(VECTORS["location_log"]["cases"], "case")
def test_location_logs_change_as_under_git_annex(case: dict[str, Any]) -> None:
    log = maybe(case["before"])
    for operation in case["ops"]:
        if operation == ["dead --key"]:
            log = presence.mark_dead(log) or log
        else:
            uuid, status = operation
            log = presence.set_status(log, raw(uuid), raw(status), VectorClock.parse(raw(case["clock"]))) or log
    assert log == raw(case["after"])


@named(VECTORS["clock_format"], "clock")
def test_clocks_are_written_as_git_annex_writes_them(case: dict[str, Any]) -> None:
    uuid = b"bbbbbbbb-1111-4222-8333-444444444444"
    assert presence.set_status(None, uuid, b"1", VectorClock.parse(raw(case["clock"]))) == raw(case["line"])
