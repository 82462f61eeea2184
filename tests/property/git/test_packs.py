"""Packs: git verifies what we write, and reads the same objects from it."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annexd.git.cat_file import CatFile
from annexd.git.objects import BLOB, GitObject, object_id
from annexd.git.pack import pack_entry_header, write_pack
from tests.property.git.scratch import scratch_repository

contents = st.lists(
    st.binary(max_size=300) | st.builds(bytes, st.sampled_from([15, 16, 2047, 2048, 0xFFFF, 0x10000, 300_000])),
    min_size=1,
    max_size=30,
    unique=True,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(contents, st.sampled_from([0, 1, 9]))
def test_a_pack_is_sound_and_holds_what_was_put_in(contents: list[bytes], level: int) -> None:
    named = {object_id(BLOB, data): data for data in contents}
    with scratch_repository() as repo:
        path = write_pack(repo, [(oid, BLOB, data, level) for oid, data in named.items()], len(named))
        repo.run(b"verify-pack", path)
        repo.run(b"index-pack", b"--verify", b"--strict", path)
        cat = CatFile(repo)
        assert list(cat.read_many(named)) == [GitObject(BLOB, data) for data in named.values()]
        cat.close()


@given(st.integers(0, 2**40))
def test_a_size_is_read_back_from_the_entry_header(size: int) -> None:
    header = pack_entry_header(BLOB, size)
    found, shift = header[0] & 15, 4
    for byte in header[1:]:
        found |= (byte & 0x7F) << shift
        shift += 7
    assert found == size
    assert header[0] >> 4 & 7 == 3
    assert [byte >> 7 for byte in header] == [1] * (len(header) - 1) + [0]
