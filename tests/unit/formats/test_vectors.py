"""What a real git-annex wrote, against what we make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from annexd.errors import FormatError
from annexd.formats import branch_paths, hash_dirs, journal_names, pointer
from annexd.formats.filter_protocol import FilterCommand, FilterContent, FilterEnded, FilterSession, FilterStarted
from annexd.formats.key import Key
from annexd.formats.logs import (
    config,
    difference,
    group,
    metadata,
    numcopies,
    presence,
    remote,
    trust,
    uuid_based,
    uuid_first_time,
)
from annexd.formats.logs import map as map_log
from annexd.formats.pktline import FLUSH, content_packets, packet
from annexd.formats.union_merge import union_merge
from annexd.formats.units import parse_size
from annexd.formats.uuid import UUID
from annexd.formats.variants import variant_path
from annexd.formats.vector_clock import VectorClock

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())


def raw(value: Any) -> bytes:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else str(value).encode()


def maybe(value: Any) -> bytes | None:
    return None if value is None else raw(value)


def named(cases: list[Any], field: str) -> pytest.MarkDecorator:
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
    assert hash_dirs.both(key) == (hash_dirs.mixed(key), hash_dirs.lower(key))
    assert hash_dirs.both(key, 1) == (hash_dirs.mixed(key, 1), hash_dirs.lower(key, 1))
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
        return str(spec).encode()
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


HERE = UUID(b"aaaaaaaa-1111-4222-8333-444444444444")
DESCRIBED_BY_INIT = b"aaaaaaaa-1111-4222-8333-444444444444 repo a timestamp=1700000000s\n"
TRUST = {
    "trust": trust.TrustLevel.TRUSTED,
    "untrust": trust.TrustLevel.UNTRUSTED,
    "semitrust": trust.TrustLevel.SEMITRUSTED,
    "dead": trust.TrustLevel.DEAD,
}


def change_other_log(file: str, log: bytes | None, command: list[str], now: VectorClock) -> bytes:
    name, *args = command
    words = [raw(arg) for arg in args]
    match file:
        case "trust.log":
            return trust.set_trust(log, UUID(words[-1]), TRUST[name], now)
        case "group.log":
            uuid = UUID(words[0])
            old = group.parse(log).get(uuid, frozenset())
            named_groups = set(words[1:])
            new = {"group": old | named_groups, "ungroup": old - named_groups, "dead": frozenset()}[name]
            return group.set_groups(log, uuid, new, now)
        case "numcopies.log" | "mincopies.log":
            return numcopies.set_copies(log, int(words[0]), now)
        case "config.log":
            return config.set_setting(log, words[1], words[2] if args[0] == "--set" else b"", now)
        case "maxsize.log":
            return uuid_first_time.set_value(log, UUID(words[0]), b"%d" % parse_size(args[1]), now)
        case "activity.log":
            return uuid_based.set_value(log, HERE, b"Fsck", now)
        case "group-preferred-content.log":
            return map_log.set_value(log, words[0], words[1], now)
        case _:
            return uuid_based.set_value(log, UUID(words[0]), words[1], now)


@pytest.mark.parametrize("case", VECTORS["other_logs"], ids=[str(case["cmds"])[:60] for case in VECTORS["other_logs"]])
def test_top_level_logs_change_as_under_git_annex(case: dict[str, Any]) -> None:
    log = maybe(case["before"])
    if case["file"] == "uuid.log":
        log = (log or b"") + DESCRIBED_BY_INIT
    for command in case["cmds"]:
        log = change_other_log(case["file"], log, command, VectorClock.parse(raw(case["clock"])))
    assert log == raw(case["after"])


def metadata_changes(log: bytes | None, args: list[str]) -> metadata.Changes:
    changes: metadata.Changes = {}
    for flag, arg in zip(args[::2], args[1::2], strict=True):
        field, _, value = raw(arg).partition(b"=")
        if flag == "-r":
            new = metadata.replacing(log, field, [])
        elif field.endswith(b"+"):
            new = {field[:-1]: {value: True}}
        elif field.endswith(b"-"):
            new = {field[:-1]: {value: False}}
        else:
            new = metadata.replacing(log, field, [value])
        for name, values in new.items():
            changes.setdefault(name, {}).update(values)
    return changes


@named(VECTORS["metadata_log"], "case")
def test_metadata_logs_change_as_under_git_annex(case: dict[str, Any]) -> None:
    log = maybe(case["before"])
    for count, args in enumerate(case["set"]):
        log = metadata.change(log, metadata_changes(log, args), VectorClock.at(case["first_clock"] + count))
    assert log == raw(case["after"])


@pytest.mark.parametrize("case", VECTORS["difference"]["tunings"], ids=lambda case: "+".join(case["tune"]) or "none")
def test_tunings_are_written_and_read_as_by_git_annex(case: dict[str, Any]) -> None:
    tuned = difference.parse(maybe(case["difference_log"]))
    assert sorted(difference.CONFIG_NAMES[one] + " true" for one in tuned.known) == case["config"]
    if case["difference_log"]:
        now = VectorClock.at(1700000000)
        assert difference.set_differences(None, HERE, tuned, now) == raw(case["difference_log"])
        assert difference.parse(raw(case["clone_difference_log"])) == tuned
    assert tuned.fits(difference.NONE) is case["untuned_repo_merges_it"]
    key = Key.parse(raw(case["location_log"]).rsplit(b"/", 1)[1][:-4])
    lower = difference.Difference.OBJECT_HASH_LOWER in tuned.known
    directories = (hash_dirs.lower if lower else hash_dirs.mixed)(key, tuned.object_levels())
    assert raw(case["object"]) == b".git/annex/objects/%b/%b/%b" % (directories, key.file_name(), key.file_name())
    assert raw(case["location_log"]) == branch_paths.location_log(key, tuned.branch_levels())


@named(VECTORS["difference"]["spellings"], "value")
def test_spellings_of_tunings_are_understood_as_by_git_annex(case: dict[str, Any]) -> None:
    tuned = difference.parse_value(raw(case["value"]))
    assert sorted(difference.CONFIG_NAMES[one] + " true" for one in tuned.known) == case["config_after_init"]
    assert tuned.fits(tuned) is case["merge_of_a_branch_with_same_log_works"]


@pytest.mark.parametrize("case", VECTORS["remote_log"], ids=lambda case: case["args"][2])
def test_settings_of_special_remotes_are_written_as_by_git_annex(case: dict[str, Any]) -> None:
    pairs = [raw(arg).split(b"=", 1) for arg in case["args"][3:] if not arg.startswith("directory=")]
    settings = {b"name": raw(case["args"][2]), **dict(pairs)}
    line = remote.set_settings(None, UUID(b"UUID"), settings, VectorClock.at(1700000000))
    assert line == raw(case["line"]) + b"\n"
    assert remote.parse(line) == {b"UUID": settings}


@named(VECTORS["variants"], "name")
def test_variants_are_named_as_by_git_annex(case: dict[str, Any]) -> None:
    path = raw(case["name"])
    assert variant_path(path, Key.parse(raw(case["key_ours"]))) == raw(case["variant_ours"])
    assert variant_path(path, Key.parse(raw(case["key_theirs"]))) == raw(case["variant_theirs"])


@pytest.mark.parametrize("case", VECTORS["filter_process"], ids=lambda case: case.get("command", "handshake"))
def test_the_filter_process_says_the_packets_that_git_annex_says(case: dict[str, Any]) -> None:
    session = FilterSession()
    hello = b"".join([packet(b"git-filter-client\n"), packet(b"version=2\n"), FLUSH])
    offered = b"".join([packet(b"capability=%b\n" % name) for name in (b"clean", b"smudge", b"delay")]) + FLUSH
    assert session.receive(hello + offered) == []
    answer = [raw(line) for line in VECTORS["filter_process"][0]["handshake"]]
    abilities = [raw(line) for line in VECTORS["filter_process"][0]["capabilities"]]
    greeting = b"".join(map(packet, answer)) + FLUSH + b"".join(map(packet, abilities)) + FLUSH
    assert session.bytes_to_send() == greeting
    if "handshake" in case:
        return
    head = packet(b"command=%b\n" % raw(case["command"])) + packet(b"pathname=%b\n" % raw(case["pathname"])) + FLUSH
    started, *chunks, ended = session.receive(head + content_packets(raw(case["input"])) + FLUSH)
    assert started == FilterStarted(FilterCommand(raw(case["command"])), raw(case["pathname"]))
    assert b"".join(chunk.data for chunk in chunks if isinstance(chunk, FilterContent)) == raw(case["input"])
    assert ended == FilterEnded()
    session.succeed(raw(case["output"]))
    status = b"".join(packet(raw(line)) for line in case["status"]) + FLUSH
    final = b"".join(packet(raw(line)) for line in case["final_status_list"]) + FLUSH
    assert session.bytes_to_send() == status + content_packets(raw(case["output"])) + FLUSH + final
