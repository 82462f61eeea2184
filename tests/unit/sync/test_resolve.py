"""Planning a resolution, without a repository."""

from __future__ import annotations

import pytest

from annexd.formats.key import Key
from annexd.formats.pointer import parse_pointer, pointer_for
from annexd.git.history import Conflict, MergeOutcome, Note, Stage
from annexd.git.objects import BLOB, EMPTY_TREE, Oid, object_id
from annexd.git.tree import MODE_DIR, MODE_EXECUTABLE, MODE_FILE, Blob
from annexd.sync.resolve import COLLISION, NEWER, OLDER, Resolution, is_half_merged, known_path, resolve

OURS, THEIRS = b"a" * 40, b"b" * 40
LABELS = (OURS, THEIRS)


class Around:
    """A repository in memory: `tree` is that of the merge."""

    def __init__(self, tree: dict[bytes, bytes], tips: dict[tuple[int, bytes], bytes]) -> None:
        self._data: dict[Oid, bytes] = {}
        self._tree = {path: self.blob(data) for path, data in tree.items()}
        self._tips = {place: self.blob(data) for place, data in tips.items()}

    def blob(self, data: bytes, mode: int = MODE_FILE) -> Blob:
        oid = object_id(BLOB, data)
        self._data[oid] = data
        return mode, oid

    def stage(self, side: int, data: bytes, mode: int = MODE_FILE) -> Stage:
        return Stage(side, *self.blob(data, mode))

    def entry(self, path: bytes) -> Blob | None:
        is_directory = any(other.startswith(path + b"/") for other in self._tree)
        return (MODE_DIR, EMPTY_TREE) if is_directory else self._tree.get(path)

    def tip(self, side: int, path: bytes) -> Blob | None:
        return self._tips.get((side, path))

    def read(self, oid: Oid) -> bytes:
        return self._data[oid]

    def key(self, blob: Blob) -> Key | None:
        return parse_pointer(self._data[blob[1]])

    def link(self, path: bytes, key: Key) -> bytes:
        raise AssertionError("nothing is locked here")

    def shown(self, found: Resolution) -> dict[bytes, bytes | None]:
        """What the paths become."""
        data = {**self._data, **found.blobs}
        return {path: None if blob is None else data[blob[1]] for path, blob in found.changes.items()}


def run(around: Around, *conflicts: Conflict, notes: tuple[Note, ...] = ()) -> dict[bytes, bytes | None]:
    return around.shown(resolve(MergeOutcome(EMPTY_TREE, conflicts, notes), LABELS, around))


@pytest.mark.parametrize(("path", "wanted"), [
    (b"d/f~" + OURS, b"d/f"),
    (b"d/f~" + THEIRS + b"_0", b"d/f"),
    (b"f~" + OURS + b"_1_0", b"f~" + OURS + b"_1_0"),
    (b"f~" + b"c" * 40, b"f~" + b"c" * 40),
    (b"~" + OURS, b"~" + OURS),
    (b"f~", b"f~"),
])  # fmt: skip
def test_the_path_that_people_know(path: bytes, wanted: bytes) -> None:
    assert known_path(path, LABELS) == wanted


@pytest.mark.parametrize(("text", "wanted"), [
    (b"x\n<<<<<<< " + OURS + b"\na\n=======\nb\n>>>>>>> " + THEIRS + b"\n", True),
    (b"<<<<<<<< " + OURS + b":f\n", True),
    (b"<<<<<<< HEAD\n=======\n>>>>>>> other\n", False),
    (b"made from " + OURS + b"\n", False),
])  # fmt: skip
def test_markers_of_this_merge_are_told_from_other_text(text: bytes, wanted: bool) -> None:
    assert is_half_merged(text, LABELS) is wanted


def test_half_merged_text_gives_way_to_each_sides_own_version() -> None:
    mixed = b"<<<<<<< " + OURS + b":g\n1\n=======\n2\n>>>>>>> " + THEIRS + b":h\n"
    around = Around({}, {(OLDER, b"g"): b"1\n", (NEWER, b"h"): b"2\n"})
    found = run(
        around, Conflict(b"f", (around.stage(1, b"0\n"),)), Conflict(b"g", (around.stage(2, mixed),)),
        Conflict(b"h", (around.stage(3, mixed),)),
    )  # fmt: skip
    assert found == {b"f": None, b"g": b"1\n", b"h": b"2\n"}


def test_a_version_dropped_in_a_collision_of_renames_comes_back() -> None:
    around = Around({}, {(OLDER, b"g"): b"ours", (NEWER, b"f"): b"theirs of f", (NEWER, b"g"): b"theirs of g"})
    conflict = Conflict(b"g", (around.stage(2, b"half of each"), around.stage(3, b"theirs of g")))
    found = run(around, conflict, notes=(Note(COLLISION, (b"g", b"f"), b""),))
    assert found.pop(b"g") is None
    assert found.pop(b"f") == b"theirs of f"
    assert set(found.values()) == {b"ours", b"theirs of g"}


def test_two_variants_never_share_a_name() -> None:
    """Two keys whose short sums are equal, as one pair in 65,536 is."""
    first, second = (Key(b"SHA256E", name, 1) for name in (b"k497", b"k509"))
    around = Around({}, {})
    stages = (around.stage(2, pointer_for(first)), around.stage(3, pointer_for(second)))
    found = {path: data for path, data in run(around, Conflict(b"f", stages)).items() if data is not None}
    assert sorted(found.values()) == sorted([pointer_for(first), pointer_for(second)])


def test_a_variant_that_is_there_in_git_already_only_becomes_executable() -> None:
    around = Around({b"f.variant-56a6": b"1"}, {})
    stages = (around.stage(2, b"1", MODE_EXECUTABLE), around.stage(3, b"2"))
    found = resolve(MergeOutcome(EMPTY_TREE, (Conflict(b"f", stages),)), LABELS, around)
    assert found.changes[b"f.variant-56a6"] == (MODE_EXECUTABLE, object_id(BLOB, b"1"))


def test_a_file_in_a_vanished_directory_stays_below_it_and_the_new_file_gives_way() -> None:
    around = Around({b"d/s": b"1", b"d~" + THEIRS: b"2"}, {})
    found = run(
        around, Conflict(b"d/s", (around.stage(1, b"0"), around.stage(2, b"1"))),
        Conflict(b"d~" + THEIRS, (around.stage(3, b"2"),)),
    )  # fmt: skip
    assert found == {b"d/s": b"1", b"d~" + THEIRS: None, b"d.variant-d826": b"2"}
