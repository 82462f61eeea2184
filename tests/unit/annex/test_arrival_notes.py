"""Notes of what was brought."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from annexd.annex import arrival_notes
from annexd.annex.layout import RepoLayout
from annexd.formats.key import Key

KEYS = [Key.parse(b"SHA256E-s1--%064x.dat" % number) for number in range(3)]


@pytest.fixture
def layout(tmp_path: Path) -> RepoLayout:
    git_dir = os.fsencode(tmp_path) + b"/.git"
    made = RepoLayout(git_dir, git_dir, os.fsencode(tmp_path), is_bare=False)
    os.makedirs(made.annexd_dir)
    return made


def test_what_was_left_is_taken_once(layout: RepoLayout) -> None:
    os.mkdir(arrival_notes.directory(layout))
    arrival_notes.leave(layout, KEYS[:2])
    arrival_notes.leave(layout, KEYS[2:])
    assert set(arrival_notes.take(layout)) == set(KEYS)
    assert arrival_notes.take(layout) == []


def test_nobody_leaves_notes_where_no_daemon_reads_them(layout: RepoLayout) -> None:
    arrival_notes.leave(layout, KEYS)
    assert os.listdir(layout.annexd_dir) == []


def test_notes_that_nobody_reads_stay_few(layout: RepoLayout) -> None:
    os.mkdir(arrival_notes.directory(layout))
    for _ in range(arrival_notes.MAX_WAITING + 5):
        arrival_notes.leave(layout, KEYS)
    assert len(os.listdir(arrival_notes.directory(layout))) == arrival_notes.MAX_WAITING


def test_nonsense_in_a_note_is_passed_over(layout: RepoLayout) -> None:
    os.mkdir(arrival_notes.directory(layout))
    with open(arrival_notes.directory(layout) + b"/x", "wb") as note:
        note.write(b"../../etc/passwd\n\n\xff\xfe\n" + KEYS[0].file_name() + b"\n" + b"x" * 4096)
    assert arrival_notes.take(layout) == [KEYS[0]]


def test_a_note_that_is_far_too_long_is_removed_unread(layout: RepoLayout) -> None:
    os.mkdir(arrival_notes.directory(layout))
    with open(arrival_notes.directory(layout) + b"/x", "wb") as note:
        note.truncate(arrival_notes.MAX_BYTES + 1)
    assert arrival_notes.take(layout) == []
    assert os.listdir(arrival_notes.directory(layout)) == []
