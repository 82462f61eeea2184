"""What every kind of remote promises, tried on each that the registry knows."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.errors import (
    ContentMissing,
    NoSpace,
    RemoteRefused,
    RemoteUnavailable,
    TransferCancelled,
    VerificationFailed,
)
from annexd.formats.key import Key
from annexd.remotes import registry
from annexd.remotes.contract import NoMeter, Remote, RemoteKind, RemoteSpec
from tests.support.annexes import add_remote, content, key_of, make_annex, put
from tests.support.repositories import make_removable

LARGE = 3 << 20
DATA = os.urandom(1 << 16) * (LARGE >> 16)


@dataclass
class Place:
    """A remote with what tests need around it: our annex, and ways to look behind the remote's back."""

    here: AnnexState
    remote: Remote
    temp: Path
    put_there: Callable[[bytes], Key]
    content_there: Callable[[Key], bytes | None]
    partial_there: Callable[[Key], Path]
    take_away: Callable[[], None]
    bring_back: Callable[[], None]

    def file(self, data: bytes) -> bytes:
        path = self.temp / f"source-{len(list(self.temp.iterdir()))}"
        path.write_bytes(data)
        return os.fsencode(path)

    def dest(self) -> Path:
        return self.temp / "dest"


def _local(tmp_path: Path, *, bare: bool, version: int) -> Iterator[Place]:
    here = make_annex(tmp_path / "here")
    there = make_annex(tmp_path / "there", bare=bare, version=version)
    add_remote(here, "there", there)
    (spec,) = registry.load_specs(here)
    remote = registry.open_remote(spec)
    (tmp_path / "files").mkdir()
    place, aside = tmp_path / "there", tmp_path / "aside"
    yield Place(
        here,
        remote,
        tmp_path / "files",
        lambda data: put(there, data),
        lambda key: content(there, key),
        lambda key: Path(os.fsdecode(there.layout.tmp_object(key))),
        lambda: place.rename(aside),
        lambda: aside.rename(place),
    )
    remote.close()
    there.close()
    here.close()
    make_removable(tmp_path)


WAYS = {
    "work tree": (RemoteKind.GIT_LOCAL, lambda path: _local(path, bare=False, version=10)),
    "bare": (RemoteKind.GIT_LOCAL, lambda path: _local(path, bare=True, version=10)),
    "version 8": (RemoteKind.GIT_LOCAL, lambda path: _local(path, bare=False, version=8)),
}


@pytest.fixture(params=sorted(WAYS))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    yield from WAYS[request.param][1](tmp_path)


class Stopper(NoMeter):
    """A meter that stops the transfer after some bytes."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.seen: list[int] = []

    def update(self, done: int) -> None:
        self.seen.append(done)
        if done >= self.after:
            raise TransferCancelled("stopped by the test")


def test_every_type_is_tried_here_or_says_why_it_moves_no_content() -> None:
    tried = {kind for kind, _ in WAYS.values()}
    for remote_type in registry.TYPES:
        assert remote_type.kind in tried or remote_type.content.reason
        assert (remote_type.open is None) == (not remote_type.content.is_there)
    assert {t.kind for t in registry.TYPES} == set(RemoteKind)


def test_it_keeps_the_interface(place: Place) -> None:
    assert isinstance(place.remote, Remote)
    assert isinstance(place.remote.spec, RemoteSpec)


def test_what_was_stored_is_there_and_comes_back(place: Place) -> None:
    key = key_of(DATA)
    assert not place.remote.has_key(key)

    place.remote.store(key, place.file(DATA), NoMeter())

    assert place.remote.has_key(key)
    assert place.content_there(key) == DATA
    place.remote.retrieve(key, os.fsencode(place.dest()), NoMeter())
    assert place.dest().read_bytes() == DATA


def test_storing_twice_changes_nothing(place: Place) -> None:
    key = key_of(DATA)
    place.remote.store(key, place.file(DATA), NoMeter())
    place.remote.store(key, place.file(b"other"), NoMeter())
    assert place.content_there(key) == DATA


def test_wrong_content_is_never_visible(place: Place) -> None:
    key = key_of(DATA)
    with pytest.raises(VerificationFailed):
        place.remote.store(key, place.file(DATA[:-1] + b"?"), NoMeter())
    assert not place.remote.has_key(key)
    with pytest.raises(VerificationFailed):
        place.remote.store(key, place.file(DATA[:-1]), NoMeter())
    assert not place.remote.has_key(key)


def test_a_stopped_store_goes_on_where_it_was(place: Place) -> None:
    key, source = key_of(DATA), place.file(DATA)
    with pytest.raises(TransferCancelled):
        place.remote.store(key, source, Stopper(2 << 20))
    assert not place.remote.has_key(key)

    second = Stopper(10 * LARGE)
    place.remote.store(key, source, second)

    assert place.content_there(key) == DATA
    assert second.seen[0] >= 2 << 20
    assert not place.partial_there(key).exists()


def test_a_wrong_beginning_does_not_spoil_a_store(place: Place) -> None:
    key = key_of(DATA)
    place.partial_there(key).parent.mkdir(parents=True, exist_ok=True)
    place.partial_there(key).write_bytes(b"?" * (1 << 20))
    place.remote.store(key, place.file(DATA), NoMeter())
    assert place.content_there(key) == DATA


def test_a_stopped_retrieval_goes_on_where_it_was(place: Place) -> None:
    key = place.put_there(DATA)
    with pytest.raises(TransferCancelled):
        place.remote.retrieve(key, os.fsencode(place.dest()), Stopper(2 << 20))
    assert place.dest().stat().st_size >= 2 << 20

    second = Stopper(10 * LARGE)
    place.remote.retrieve(key, os.fsencode(place.dest()), second)

    assert place.dest().read_bytes() == DATA
    assert second.seen[0] > 2 << 20


@pytest.mark.parametrize("start", [b"?" * (1 << 20), b"?" * (LARGE + 5), DATA], ids=["wrong", "longer", "whole"])
def test_whatever_lies_at_the_destination_the_right_content_comes(place: Place, start: bytes) -> None:
    key = place.put_there(DATA)
    place.dest().write_bytes(start)
    place.remote.retrieve(key, os.fsencode(place.dest()), NoMeter())
    assert place.dest().read_bytes() == DATA


def test_missing_content_is_said_to_be_missing(place: Place) -> None:
    key = key_of(b"nowhere")
    with pytest.raises(ContentMissing):
        place.remote.retrieve(key, os.fsencode(place.dest()), NoMeter())
    with pytest.raises(ContentMissing):
        place.remote.store(key, b"/nonexistent/file", NoMeter())
    with pytest.raises(ContentMissing), place.remote.lock_content(key):
        pytest.fail("there is nothing to lock")


def test_corrupt_content_is_not_taken_for_the_right_one(place: Place) -> None:
    key = place.put_there(DATA)
    damage(place, key)
    with pytest.raises(VerificationFailed):
        place.remote.retrieve(key, os.fsencode(place.dest()), NoMeter())
    assert not place.dest().exists() or place.dest().stat().st_size == 0


def damage(place: Place, key: Key) -> None:
    """Change one byte of the content behind the remote's back."""
    found = [p for p in place.temp.parent.glob("there/**/" + key.file_name().decode()) if p.is_file()]
    assert found
    for path in found:
        os.chmod(path, 0o644)
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"!")
        os.chmod(path, 0o444)


def test_a_batch_of_small_contents_is_stored_and_bad_ones_are_told(place: Place) -> None:
    datas = [b"content %d" % n for n in range(20)]
    keys = [key_of(data) for data in datas]
    files = [place.file(data) for data in datas]
    Path(os.fsdecode(files[3])).write_bytes(b"changed 11")
    Path(os.fsdecode(files[5])).unlink()

    results = place.remote.store_small(list(zip(keys, files, strict=True)))

    assert [key for key, _ in results] == keys
    errors = {n: error for n, (_, error) in enumerate(results) if error is not None}
    assert sorted(errors) == [3, 5]
    assert isinstance(errors[3], VerificationFailed)
    assert isinstance(errors[5], ContentMissing)
    assert place.remote.has_keys(keys) == frozenset(keys) - {keys[3], keys[5]}
    assert place.content_there(keys[7]) == datas[7]


def test_a_batch_of_small_contents_is_retrieved_and_bad_ones_are_told(place: Place) -> None:
    keys = [place.put_there(b"content %d" % n) for n in range(20)]
    damage(place, keys[4])
    absent = key_of(b"absent")
    got: dict[Key, bytes] = {}

    def accept(key: Key, data: bytes) -> None:
        if key == keys[6]:
            raise NoSpace("no room for this one")
        got[key] = data

    results = dict(place.remote.retrieve_small([*keys, absent], accept))

    assert isinstance(results[keys[4]], VerificationFailed)
    assert isinstance(results[keys[6]], NoSpace)
    assert isinstance(results[absent], ContentMissing)
    assert set(got) == set(keys) - {keys[4], keys[6]}
    assert got[keys[7]] == b"content 7"
    assert results[keys[7]] is None


def test_empty_content_is_content_too(place: Place) -> None:
    key = key_of(b"")
    assert place.remote.store_small([(key, place.file(b""))]) == [(key, None)]
    got: list[bytes] = []
    place.remote.retrieve_small([key], lambda _, data: got.append(data))
    assert got == [b""]


def test_keys_that_lead_out_of_the_store_are_refused(place: Place) -> None:
    long = Key(b"SHA256E", b"x" * 300, 5)
    nul = Key(b"WORM", b"a\0b", 5)
    source = place.file(b"12345")
    for key in (long, nul):
        ((_, error),) = place.remote.store_small([(key, source)])
        assert error is not None
        ((_, error),) = place.remote.retrieve_small([key], lambda *_: None)
        assert error is not None


def test_removing_removes_and_may_be_repeated(place: Place) -> None:
    key = place.put_there(DATA)
    place.remote.remove(key)
    assert not place.remote.has_key(key)
    assert place.content_there(key) is None
    place.remote.remove(key)


def test_locked_content_cannot_be_removed_meanwhile(place: Place) -> None:
    key = place.put_there(DATA)
    other = registry.open_remote(place.remote.spec)
    with place.remote.lock_content(key):
        with pytest.raises(Exception, match="locked"):
            other.remove(key)
        assert place.remote.has_key(key)
    other.remove(key)
    assert not place.remote.has_key(key)
    other.close()


def test_reading_locked_content_keeps_the_lock(place: Place) -> None:
    key = place.put_there(b"small content")
    other = registry.open_remote(place.remote.spec)
    with place.remote.lock_content(key):
        other.retrieve_small([key], lambda *_: None)
        other.retrieve(key, os.fsencode(place.dest()), NoMeter())
        assert is_locked_for_others(place, key)
    other.close()


def is_locked_for_others(place: Place, key: Key) -> bool:
    """Whether another process is kept from removing the content."""
    import subprocess
    import sys

    script = (
        "import sys\n"
        "from annexd.annex.state import AnnexState\n"
        "from annexd.errors import ContentLocked\n"
        "from annexd.formats.key import Key\n"
        "state = AnnexState.open(sys.argv[1].encode())\n"
        "try:\n"
        "    with state.store.lock_for_drop(Key.parse(sys.argv[2].encode())): sys.exit(3)\n"
        "except ContentLocked: sys.exit(4)\n"
    )
    path = os.fsdecode(place.remote.spec.path or b"")
    done = subprocess.run([sys.executable, "-c", script, path, bytes(key).decode()], timeout=60)
    assert done.returncode in (3, 4)
    return done.returncode == 4


def test_a_remote_that_is_gone_is_unavailable_and_works_again_when_it_is_back(place: Place) -> None:
    key = place.put_there(b"small content")
    assert place.remote.has_key(key)
    place.take_away()
    for act in (
        lambda: place.remote.has_key(key),
        lambda: place.remote.store(key_of(DATA), place.file(DATA), NoMeter()),
        lambda: place.remote.store_small([(key_of(b"x"), place.file(b"x"))]),
        lambda: place.remote.retrieve_small([key], lambda *_: None),
        lambda: place.remote.retrieve(key, os.fsencode(place.dest()), NoMeter()),
        lambda: place.remote.remove(key),
    ):
        with pytest.raises(RemoteUnavailable):
            act()
    assert not (place.temp.parent / "there").exists(), "nothing may be made where the remote was"
    place.bring_back()
    assert place.remote.has_key(key)


def test_a_closed_remote_can_be_used_again(place: Place) -> None:
    key = place.put_there(b"small content")
    place.remote.close()
    assert place.remote.has_key(key)
    place.remote.close()
    place.remote.close()


def test_a_readonly_remote_is_not_written_to(place: Place) -> None:
    spec = replace(place.remote.spec, config=replace(place.remote.spec.config, readonly=True))
    remote = registry.open_remote(spec)
    key = place.put_there(b"small content")
    assert remote.has_key(key)
    with pytest.raises(RemoteRefused):
        remote.store(key_of(DATA), place.file(DATA), NoMeter())
    with pytest.raises(RemoteRefused):
        remote.store_small([(key_of(b"x"), place.file(b"x"))])
    with pytest.raises(RemoteRefused):
        remote.remove(key)
    assert remote.has_key(key)
    remote.close()


def test_stored_content_is_protected_from_change(place: Place) -> None:
    large, small = key_of(DATA), key_of(b"small content")
    place.remote.store(large, place.file(DATA), NoMeter())
    place.remote.store_small([(small, place.file(b"small content"))])
    for key in (large, small):
        (path,) = [p for p in place.temp.parent.glob("there/**/" + key.file_name().decode()) if p.is_file()]
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o555
