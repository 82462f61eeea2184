"""The files in which `unused` leaves what it found."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from annexd.formats import unused_log
from annexd.formats.key import Key
from annexd.formats.unused_log import Unused

names = st.binary(min_size=1, max_size=20).filter(lambda name: not set(name) & set(b"\n\0 /-"))
lines = st.builds(
    Unused, st.integers(1, 10**6), names.map(lambda name: Key(b"SHA256E", name, 5)), st.just(b"1700000000.5s")
)


@given(st.lists(lines, max_size=5))
def test_what_is_written_can_be_read(found: list[Unused]) -> None:
    assert unused_log.parse(unused_log.serialise(found)) == found


def test_a_line_without_a_time_is_read_too_and_nonsense_is_passed_over() -> None:
    data = b"1 SHA256E-s5--abc\nx\n2\n\n3 WORM-s5-m1--two words 1700000000s\n9 nonsense 1s\n"
    found = unused_log.parse(data)
    assert [(line.number, line.key.name) for line in found] == [(1, b"abc"), (3, b"two words")]


@given(st.binary())
def test_nothing_makes_it_fail(data: bytes) -> None:
    unused_log.parse(data)
