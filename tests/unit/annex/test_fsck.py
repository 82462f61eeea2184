"""fsck of one key."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from annexd.annex.fsck import ProblemKind, fsck_key
from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.annex.verify import Depth, Verdict, verify_bytes, verify_file
from annexd.backends.registry import backend
from annexd.formats.key import Key
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.pointer import pointer_for
from tests.support.annexes import content, key_of, make_annex, put
from tests.unit.annex.content_helpers import add, check_out, ingest, locked, read, status, top, unlocked, write
from tests.unit.annex.helpers import OTHER, git_annex
from tests.unit.annex.test_drop import set_copies, set_trust

KEY = key_of(b"one")


def kinds(
    state: AnnexState, file: bytes | None = None, depth: Depth = Depth.CONTENT, key: Key = KEY
) -> list[ProblemKind]:
    """What fsck finds."""
    return [problem.kind for problem in fsck_key(state, key, file, depth)]


def damage(state: AnnexState, data: bytes, key: Key = KEY) -> None:
    """Write other bytes into an object."""
    path = Path(os.fsdecode(state.store.locate(key) or b""))
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def test_sound_content_has_no_problems(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    assert kinds(state, b"a") == []


def test_content_of_another_size_is_moved_aside(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    damage(state, b"one and more")
    size, copies = fsck_key(state, KEY, b"a", Depth.SIZE)
    assert size.kind is ProblemKind.BAD_SIZE
    assert size.message == f"Bad file size (9 B larger); moved to .git/annex/bad/{KEY}"
    assert copies.message == "** No known copies exist of a"
    assert not state.store.is_present(KEY)
    assert state.locations.locations(KEY) == frozenset()


def test_content_that_does_not_match_is_moved_aside_when_read(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    damage(state, b"two")
    assert kinds(state, b"a", Depth.SIZE) == []
    problem = fsck_key(state, KEY, b"a")[0]
    assert problem.message == f"Bad file content; moved to .git/annex/bad/{KEY}"
    assert problem.is_failure


def test_git_annex_says_the_same(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    add(state, {b"a": b"one", b"b": b"four", b"c": b"fiver"})
    damage(state, b"one and more")
    damage(state, b"FOUR", key_of(b"four"))
    state.store.remove(key_of(b"fiver"))
    state.branch.commit()
    ours = "\n".join(
        problem.message
        for file, data in ((b"a", b"one"), (b"b", b"four"), (b"c", b"fiver"))
        for problem in check_a_copy(state, key_of(data), file)
    )
    theirs = git_annex(annex_path, "fsck", "--json", "--json-error-messages", status=1)
    for line in ours.splitlines():
        assert line == "fixing location log" or line.encode() in theirs, line


def check_a_copy(state: AnnexState, key: Key, file: bytes):  # type: ignore[no-untyped-def]
    """fsck, with everything put back afterwards."""
    before = content(state, key)
    was = state.uuid in state.locations.locations(key)
    found = fsck_key(state, key, file)
    if before is not None:
        state.store.put_bytes(before, key)
    state.locations.record(key, state.uuid, Presence.PRESENT if was else Presence.MISSING)
    state.branch.commit()
    return found


def test_the_location_log_is_put_right(state: AnnexState) -> None:
    put(state, b"one")
    assert kinds(state) == [ProblemKind.LOCATION_LOG]
    assert state.uuid in state.locations.locations(KEY)
    state.store.remove(KEY)
    found = fsck_key(state, KEY, b"a")
    assert [problem.kind for problem in found] == [ProblemKind.LOCATION_LOG, ProblemKind.MISSING, ProblemKind.COPIES]
    assert "** Based on the location log, a\n** was expected to be present" in found[1].message
    assert kinds(state, b"a") == [ProblemKind.COPIES]


def test_permissions_are_put_right(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    path = state.store.locate(KEY) or b""
    os.chmod(os.path.dirname(path), 0o755)
    os.chmod(path, 0o644)
    assert kinds(state) == [ProblemKind.PERMISSIONS]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o444
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o555
    os.chmod(os.path.dirname(path), 0o755)
    assert kinds(state) == [ProblemKind.PERMISSIONS]
    assert kinds(state) == []


def test_thin_files_keep_their_write_bits(tmp_path: Path) -> None:
    with make_annex(tmp_path / "a", annex_thin="true") as annex:
        add(annex, {b"a": b"one"})
        assert kinds(annex, b"a") == []
        assert os.access(top(annex) / "a", os.W_OK)


def test_a_symlink_that_leads_elsewhere_is_corrected(state: AnnexState) -> None:
    put(state, b"one")
    state.locations.record(KEY, state.uuid, Presence.PRESENT)
    check_out(state, {b"d/l": locked(state, b"d/l", b"one")})
    (top(state) / "d/l").unlink()
    (top(state) / "d/l").symlink_to(f"../../wrong/annex/objects/{KEY}")
    assert kinds(state, b"d/l") == [ProblemKind.LINK]
    assert read(state, b"d/l") == b"one"
    assert status(state) == b""


def test_a_pointer_gets_its_content(state: AnnexState) -> None:
    check_out(state, {b"a": unlocked(b"one")})
    put(state, b"one")
    state.locations.record(KEY, state.uuid, Presence.PRESENT)
    assert read(state, b"a") == pointer_for(KEY)
    assert kinds(state, b"a") == [ProblemKind.POINTER]
    assert read(state, b"a") == b"one"


def test_too_few_copies_are_told_with_their_reasons(state: AnnexState) -> None:
    add(state, {b"a": b"one"})
    set_copies(state, b"numcopies.log", 2)
    assert fsck_key(state, KEY, b"a")[0].message.startswith("Only 1 of 2 trustworthy copies exist of a\nBack it up")
    set_trust(state, OTHER, TrustLevel.DEAD)
    state.locations.record(KEY, OTHER, Presence.PRESENT)
    assert fsck_key(state, KEY, b"a")[0].dead == (OTHER,)
    set_trust(state, state.uuid, TrustLevel.UNTRUSTED)
    problem = fsck_key(state, KEY, None)[0]
    assert problem.untrusted == (state.uuid,)
    assert problem.message == f"Only these untrusted locations may have copies of {KEY}"


def test_content_that_cannot_be_checked_is_left_alone(state: AnnexState) -> None:
    write(state, b"w", b"worm")
    done = ingest(state, b"w", name=b"WORM")
    state.locations.record(done.key, state.uuid, Presence.PRESENT)
    damage(state, b"WORM", done.key)
    assert kinds(state, None, key=done.key) == []


@pytest.mark.parametrize("name", [b"SHA256E", b"SHA1", b"MD5", b"BLAKE2B256E", b"XXH3", b"BLAKE3_256"])
def test_content_is_held_against_its_key(tmp_path: Path, name: bytes) -> None:
    chosen = backend(name)
    assert chosen is not None
    hasher = chosen.hasher()
    assert hasher is not None
    hasher.update(b"data")
    key = Key(name, hasher.hexdigest().encode(), 4)
    place = os.fsencode(tmp_path / "f")
    for data, verdict in ((b"data", Verdict.MATCHES), (b"DATA", Verdict.DIFFERS), (b"data+", Verdict.DIFFERS)):
        Path(os.fsdecode(place)).write_bytes(data)
        assert verify_file(place, key) is verify_bytes(data, key) is verdict
    assert verify_file(place, key._replace(size=None), Depth.SIZE) is Verdict.UNKNOWN


@pytest.mark.parametrize("key", [Key(b"WORM", b"x", 4, 1), Key(b"UNHEARD", b"x", 4), Key(b"URL", b"x")], ids=bytes)
def test_keys_without_a_digest_only_tell_the_size(key: Key) -> None:
    assert verify_bytes(b"data", key) is Verdict.UNKNOWN
    assert verify_bytes(b"datadata", Key(b"WORM", b"x", 4, 1)) is Verdict.DIFFERS


def test_how_much_was_read_is_told_and_reading_can_be_ended(state: AnnexState) -> None:
    data = b"x" * (3 << 20)
    key = put(state, data)
    seen: list[int] = []
    fsck_key(state, key, None, progress=seen.append)
    assert seen == [1 << 20, 2 << 20, 3 << 20]

    def enough(done: int) -> None:
        raise InterruptedError(done)

    with pytest.raises(InterruptedError):
        fsck_key(state, key, None, progress=enough)
    assert state.store.is_present(key)
