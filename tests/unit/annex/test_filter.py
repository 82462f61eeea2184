"""What git's filters give: pointers for what belongs in the annex, everything else as it came."""

from __future__ import annotations

import os

import pytest

from annexd.annex import smudge_log
from annexd.annex.commit import IndexUpdate, stage
from annexd.annex.filter import IN_MEMORY, Filters
from annexd.annex.smudge_update import fill_checked_out
from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.pointer import MAX_POINTER, pointer_for
from tests.support.annexes import key_of, put
from tests.unit.annex.content_helpers import NOW, add, read, top, write
from tests.unit.annex.helpers import git

DATA = b"content of a file\n"


def clean(state: AnnexState, path: bytes, piped: bytes | None = None) -> bytes:
    """The output of the clean filter, given what git pipes (the work tree file, if nothing else)."""
    filters = Filters(state)
    try:
        job = filters.clean(path)
        data = read(state, path) if piped is None else piped
        for start in range(0, len(data), 65516):
            job.feed(data[start : start + 65516])
        return b"".join(job.output())
    finally:
        filters.close()


def configure(state: AnnexState, name: str, value: str) -> None:
    git(top(state), "config", name, value)
    state.reload_config()


def test_without_an_expression_a_new_file_goes_to_git(state: AnnexState) -> None:
    write(state, b"f", DATA)
    assert clean(state, b"f") == DATA


def test_a_file_that_the_expression_matches_is_annexed_and_recorded(state: AnnexState) -> None:
    configure(state, "annex.largefiles", "include=*.bin")
    write(state, b"d/f.bin", DATA)
    key = key_of(DATA, b".bin")
    assert clean(state, b"d/f.bin") == pointer_for(key)
    assert state.store.is_present(key)
    assert state.locations.locations(key) == {state.uuid}
    assert read(state, b"d/f.bin") == DATA


def test_annex_gitaddtoannex_false_keeps_new_files_in_git(state: AnnexState) -> None:
    configure(state, "annex.largefiles", "anything")
    configure(state, "annex.gitaddtoannex", "false")
    write(state, b"f", DATA)
    assert clean(state, b"f") == DATA


def test_a_pointer_passes_as_it_is(state: AnnexState) -> None:
    configure(state, "annex.largefiles", "anything")
    pointer = pointer_for(key_of(b"something that is not here"))
    write(state, b"f", pointer)
    assert clean(state, b"f") == pointer


def test_the_work_tree_file_counts_not_what_is_piped(state: AnnexState) -> None:
    configure(state, "annex.largefiles", "anything")
    write(state, b"f", DATA)
    assert clean(state, b"f", piped=b"something else\n") == pointer_for(key_of(DATA))


def test_an_annexed_file_stays_annexed_when_it_changes(state: AnnexState) -> None:
    add(state, {b"f": b"before"})
    write(state, b"f", DATA)
    assert clean(state, b"f") == pointer_for(key_of(DATA))


def test_an_annexed_file_keeps_its_backend(state: AnnexState) -> None:
    configure(state, "annex.backend", "MD5E")
    configure(state, "annex.largefiles", "anything")
    write(state, b"f", b"before")
    stage(state, [IndexUpdate(b"f", 0o100644, clean(state, b"f"))], NOW)
    configure(state, "annex.backend", "SHA1")
    write(state, b"f", DATA)
    assert clean(state, b"f").startswith(b"/annex/objects/MD5E-s%d--" % len(DATA))


def test_a_renamed_annexed_file_stays_annexed(state: AnnexState) -> None:
    add(state, {b"f": DATA})
    os.rename(top(state) / "f", top(state) / "g")
    assert clean(state, b"g") == pointer_for(key_of(DATA))


def test_an_untouched_annexed_file_is_not_read_again(state: AnnexState) -> None:
    add(state, {b"f": DATA})
    os.utime(top(state) / "f", (1, 1))
    status = os.lstat(top(state) / "f")
    stage(state, [IndexUpdate(b"f", 0o100644, pointer_for(key_of(DATA)), None, status)], NOW)
    state.store.remove(key_of(DATA))
    assert clean(state, b"f") == pointer_for(key_of(DATA))
    assert not state.store.is_present(key_of(DATA))


def test_a_file_in_git_stays_there_while_it_is_unchanged(state: AnnexState) -> None:
    write(state, b"f", DATA)
    git(top(state), "-c", "filter.annex.process=", "-c", "filter.annex.clean=", "add", "f")
    configure(state, "annex.largefiles", "anything")
    assert clean(state, b"f") == DATA
    write(state, b"f", b"changed")
    assert clean(state, b"f") == pointer_for(key_of(b"changed"))


def test_an_empty_file_goes_to_git(state: AnnexState) -> None:
    configure(state, "annex.largefiles", "anything")
    write(state, b"f", b"")
    assert clean(state, b"f") == b""


def test_a_file_that_is_not_in_the_work_tree_passes(state: AnnexState) -> None:
    configure(state, "annex.largefiles", "anything")
    assert clean(state, b"gone", piped=DATA) == DATA
    assert clean(state, b"../outside", piped=DATA) == DATA


@pytest.mark.parametrize("size", [MAX_POINTER, MAX_POINTER + 1, IN_MEMORY + 1])
def test_large_content_for_git_passes_whole(state: AnnexState, size: int) -> None:
    data = os.urandom(1 << 12) * (size // (1 << 12) + 1)
    write(state, b"f", data[:size])
    assert clean(state, b"f") == data[:size]


def test_smudge_takes_note_and_update_fills_the_file(state: AnnexState) -> None:
    key = put(state, DATA)
    write(state, b"f", pointer_for(key))
    filters = Filters(state)
    filters.smudge(b"f", pointer_for(key))
    filters.smudge(b"g", b"no pointer")
    filters.close()
    assert [(one.key, one.path) for one in smudge_log.pending(state.layout)] == [(key, b"f")]
    assert fill_checked_out(state) == []
    assert read(state, b"f") == DATA
    assert smudge_log.pending(state.layout) == []


def test_update_leaves_alone_what_is_no_pointer_any_more(state: AnnexState) -> None:
    key = put(state, DATA)
    other = Key(b"SHA256E", b"00" * 32, 3)
    write(state, b"f", b"a person wrote this")
    write(state, b"g", pointer_for(other))
    smudge_log.note(state.layout, [smudge_log.Smudged(key, path) for path in (b"f", b"g", b"gone")])
    assert fill_checked_out(state) == []
    assert read(state, b"f") == b"a person wrote this"
    assert read(state, b"g") == pointer_for(other)
