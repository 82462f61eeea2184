"""What may stand in a work tree for what git records, by what the file system keeps."""

from __future__ import annotations

import pytest

from annexd.git.fidelity import FULL, Fidelity
from annexd.git.tree import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_LINK

REGULAR, PROGRAM, LINK, DIRECTORY = 0o100644, 0o100755, 0o120777, 0o040755
POOR = Fidelity(modes=False, symlinks=False)


@pytest.mark.parametrize(("mode", "fitting"), [
    (MODE_FILE, {REGULAR}), (MODE_EXECUTABLE, {PROGRAM}), (MODE_LINK, {LINK}), (MODE_GITLINK, {DIRECTORY}),
])
def test_with_all_of_it_only_the_same_will_do(mode: int, fitting: set[int]) -> None:
    assert {actual for actual in (REGULAR, PROGRAM, LINK, DIRECTORY) if FULL.allows(mode, actual)} == fitting


@pytest.mark.parametrize(("mode", "fitting"), [
    (MODE_FILE, {REGULAR, PROGRAM}), (MODE_EXECUTABLE, {REGULAR, PROGRAM}),
    (MODE_LINK, {REGULAR, PROGRAM, LINK}), (MODE_GITLINK, {DIRECTORY}),
])
def test_without_modes_and_symlinks_a_regular_file_stands_for_any(mode: int, fitting: set[int]) -> None:
    assert {actual for actual in (REGULAR, PROGRAM, LINK, DIRECTORY) if POOR.allows(mode, actual)} == fitting


def test_without_modes_the_one_recorded_before_stays_and_a_new_file_is_no_program() -> None:
    assert POOR.recorded(MODE_EXECUTABLE, None) == MODE_FILE
    assert POOR.recorded(MODE_EXECUTABLE, MODE_LINK) == MODE_FILE
    assert POOR.recorded(MODE_FILE, MODE_EXECUTABLE) == MODE_EXECUTABLE
    assert POOR.recorded(MODE_LINK, MODE_FILE) == MODE_LINK
    assert FULL.recorded(MODE_EXECUTABLE, MODE_FILE) == MODE_EXECUTABLE
