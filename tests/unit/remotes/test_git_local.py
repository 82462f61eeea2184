"""What is particular to a repository on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from annexd.errors import NoSpace, RemoteUnavailable
from annexd.remotes import registry
from annexd.remotes.contract import NoMeter, Remote
from tests.support.annexes import add_remote, content, key_of, make_annex, put
from tests.support.repositories import git, make_removable

DATA = os.urandom(1 << 16) * 20


@pytest.fixture
def here(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "here") as state:
        yield state
    make_removable(tmp_path)


def opened(here: AnnexState) -> Remote:
    here.reload_config()
    (spec,) = registry.load_specs(here)
    return registry.open_remote(spec)


def test_another_repository_in_the_same_place_is_refused(here: AnnexState, tmp_path: Path) -> None:
    with make_annex(tmp_path / "drive") as first:
        add_remote(here, "drive", first)
    remote = opened(here)
    key = put(here, DATA)
    assert not remote.has_key(key)
    (tmp_path / "drive").rename(tmp_path / "first drive")
    with make_annex(tmp_path / "drive") as second:
        with pytest.raises(RemoteUnavailable, match="another repository"):
            remote.store(key, here.store.locate(key) or b"", NoMeter())
        assert not second.store.is_present(key)
    with pytest.raises(RemoteUnavailable, match="another repository"):
        opened(here).has_key(key)
    make_removable(tmp_path)
    shutil.rmtree(tmp_path / "drive")
    (tmp_path / "first drive").rename(tmp_path / "drive")
    assert not remote.has_key(key)
    remote.close()


def test_an_empty_mount_point_inside_a_repository_is_not_taken_for_it(here: AnnexState, tmp_path: Path) -> None:
    """git looks upwards for a repository; content must not go to the one that happens to be above."""
    with make_annex(tmp_path / "here/media/drive") as drive:
        add_remote(here, "drive", drive)
    remote = opened(here)
    key = put(here, DATA)
    make_removable(tmp_path)
    shutil.rmtree(tmp_path / "here/media/drive")
    (tmp_path / "here/media/drive").mkdir()
    with pytest.raises(RemoteUnavailable):
        remote.has_key(key)
    with pytest.raises(RemoteUnavailable):
        remote.store(key, here.store.locate(key) or b"", NoMeter())
    assert list((tmp_path / "here/media/drive").iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "noted"), [({}, False), ({"annex_push": "false"}, True), ({"annex_sync": "false"}, True)]
)
def test_where_no_push_will_tell_it_the_other_side_notes_what_it_got(
    here: AnnexState, tmp_path: Path, settings: dict[str, str], noted: bool
) -> None:
    with make_annex(tmp_path / "there") as there:
        add_remote(here, "there", there, **settings)
        remote = opened(here)
        large, small = put(here, DATA), put(here, b"small")
        for key in (large, small):
            source = here.store.locate(key) or b""
            if key == small:
                remote.store_small([(key, source)])
            else:
                remote.store(key, source, NoMeter())
        for key in (large, small):
            assert (there.uuid in there.locations.locations(key)) == noted
        remote.remove(large)
        assert there.uuid not in there.locations.locations(large)
        remote.close()


def test_the_other_sides_disk_reserve_is_kept(here: AnnexState, tmp_path: Path) -> None:
    with make_annex(tmp_path / "there", annex_diskreserve="1000000 tb") as there:
        add_remote(here, "there", there)
        remote = opened(here)
        key = put(here, DATA)
        with pytest.raises(NoSpace):
            remote.store(key, here.store.locate(key) or b"", NoMeter())
        assert not there.store.is_present(key)
        git(tmp_path / "there", "config", "annex.diskreserve", "0")
        remote.store(key, here.store.locate(key) or b"", NoMeter())
        assert content(there, key) == DATA, "its new setting counts at once"
        remote.close()


def test_content_in_either_style_of_hash_directory_is_found(here: AnnexState, tmp_path: Path) -> None:
    with make_annex(tmp_path / "there") as there:
        add_remote(here, "there", there)
        key = key_of(b"content")
        lower = Path(os.fsdecode(there.layout.object_candidates(key)[1]))
        lower.parent.mkdir(parents=True)
        lower.write_bytes(b"content")
        remote = opened(here)
        got: list[bytes] = []
        assert remote.retrieve_small([key], lambda _, data: got.append(data)) == [(key, None)]
        assert got == [b"content"]
        remote.close()


def test_a_private_clone_without_verification_is_believed(here: AnnexState, tmp_path: Path) -> None:
    """remote.N.annex-verify=false is the person's own choice."""
    with make_annex(tmp_path / "there") as there:
        add_remote(here, "there", there, annex_verify="false")
        key = key_of(DATA)
        there.store.put_bytes(b"?" * len(DATA), key)
        remote = opened(here)
        remote.retrieve(key, os.fsencode(tmp_path / "dest"), NoMeter())
        assert (tmp_path / "dest").read_bytes() == b"?" * len(DATA)
        remote.close()
