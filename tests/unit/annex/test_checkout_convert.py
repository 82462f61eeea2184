"""Files that git changes on their way into the work tree come as git would have written them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from annexd.annex import checkout as checkout_module
from annexd.annex import checkout_convert
from annexd.annex.state import AnnexState
from annexd.errors import AnnexError
from tests.support.annexes import put
from tests.unit.annex.content_helpers import File, add, check_out, next_commit, read, status, top, unlocked
from tests.unit.annex.helpers import git

TEXT = b"one\ntwo $Id$\n"
PLAIN: File = (0o100644, TEXT)


@pytest.fixture(autouse=True)
def start(state: AnnexState, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A first commit, and a person without attributes of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    add(state, {b"first": b"first"})


def set_config(state: AnnexState, name: str, value: str) -> None:
    """As git is told with `git config`."""
    git(top(state), "config", name, value)
    state.reload_config()


def as_git_writes(state: AnnexState, tmp_path: Path) -> dict[str, bytes]:
    """The files of HEAD that git keeps, as git itself checks them out."""
    place = tmp_path / "by-git"
    off = [word for name in ("process", "clean", "smudge") for word in ("-c", f"filter.annex.{name}=")]
    argv = ["git", *off, "worktree", "add", "--force", "-q", "--detach", str(place), "HEAD"]
    subprocess.run(argv, cwd=top(state), check=True)
    return {path.name: path.read_bytes() for path in place.rglob("*") if path.is_file() and path.name != ".git"}


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize(
    ("attributes", "settings"),
    [
        (b"*.txt eol=crlf\n", {}),
        (b"*.txt ident\n", {}),
        (b"*.txt text working-tree-encoding=UTF-16\n", {}),
        (b"[attr]odd eol=crlf\n*.txt odd\n", {}),
        (b'"f *.txt" eol=crlf\n', {}),
        (b"*.txt text\n", {"core.eol": "crlf"}),
        (b"*.txt text=auto\n", {"core.autocrlf": "true"}),
        (b"", {"core.autocrlf": "true"}),
        (b"", {"core.autocrlf": "input"}),
        (b"* text=auto\n*.txt -text\n# eol=crlf\n", {}),
        (b"*.txt filter=upper\n", {"filter.upper.smudge": "tr a-z A-Z", "filter.upper.clean": "tr A-Z a-z"}),
    ],
)
def test_files_come_as_git_writes_them(
    state: AnnexState, tmp_path: Path, attributes: bytes, settings: dict[str, str], many: bool
) -> None:
    settings = settings | {"checkout.workers": "2", "checkout.thresholdForParallelism": "1" if many else "100"}
    for name, value in settings.items():
        set_config(state, name, value)
    put(state, b"content")
    files: dict[bytes, File] = {b"d/f %d.txt" % n: (0o100755 if n else 0o100644, TEXT) for n in range(5)}
    if b"filter" in attributes:     # git heeds this file more than those in the tree
        (top(state) / ".git/info/attributes").write_bytes(b"* filter=annex\n" + attributes)
    files |= {b".gitattributes": (0o100644, attributes), b"d/other": PLAIN, b"annexed.txt": unlocked(b"content")}
    assert check_out(state, files).written == 8
    ours = {path.name: path.read_bytes() for path in top(state).rglob("d/*")}
    theirs = as_git_writes(state, tmp_path)
    assert ours == {name: theirs[name] for name in ours}
    assert os.access(top(state) / "d/f 1.txt", os.X_OK) and not os.access(top(state) / "d/f 0.txt", os.X_OK)
    assert b"filter=upper" in attributes or read(state, b"annexed.txt") == b"content"
    assert status(state) == b""
    assert os.listdir(top(state) / ".git/annex/annexd/tmp") == []


def test_attributes_of_the_new_tree_hold_and_those_of_the_old_one_no_longer(state: AnnexState) -> None:
    check_out(state, {b"d/.gitattributes": (0o100644, b"*.txt eol=crlf\n"), b"d/a.txt": PLAIN, b"e.txt": PLAIN})
    assert read(state, b"d/a.txt") == TEXT.replace(b"\n", b"\r\n") and read(state, b"e.txt") == TEXT
    check_out(state, {b"d/.gitattributes": None, b"d/b.txt": PLAIN})
    assert read(state, b"d/b.txt") == TEXT
    check_out(state, {b"d/b.txt": (0o100644, b"changed\n"), b".gitattributes": (0o100644, b"*.txt eol=crlf\n")})
    assert read(state, b"d/b.txt") == b"changed\r\n"


@pytest.mark.parametrize("where", ["info", "person", "configured"])
def test_attributes_outside_of_the_tree_hold_too(state: AnnexState, tmp_path: Path, where: str) -> None:
    place = {
        "info": top(state) / ".git/info/attributes", "person": tmp_path / "config/git/attributes",
        "configured": tmp_path / "own",
    }[where]  # fmt: skip
    if where == "configured":
        set_config(state, "core.attributesFile", str(place))
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("ab") as file:
        file.write(b"*.txt eol=crlf\n")
    check_out(state, {b"a.txt": PLAIN})
    assert read(state, b"a.txt") == TEXT.replace(b"\n", b"\r\n")


def test_where_nothing_is_changed_git_is_not_asked(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout_convert.Conversions, "_check_out", None)
    check_out(state, {b"a.txt": PLAIN, b".gitattributes": (0o100644, b"* annex.largefiles=nothing text=auto -ident\n")})
    assert read(state, b"a.txt") == TEXT


def test_an_annexed_file_with_a_foreign_filter_is_written_by_that(state: AnnexState) -> None:
    set_config(state, "filter.upper.smudge", "tr a-z A-Z")
    put(state, b"content")
    with (top(state) / ".git/info/attributes").open("ab") as file:      # which git heeds more than all others
        file.write(b"*.up filter=upper\n")
    check_out(state, {b"a.up": unlocked(b"content"), b"b": unlocked(b"content")})
    assert read(state, b"a.up").startswith(b"/ANNEX/OBJECTS/")
    assert read(state, b"b") == b"content"


def test_a_filter_that_must_work_and_does_not_stops_the_checkout(state: AnnexState) -> None:
    set_config(state, "filter.broken.smudge", "false")
    set_config(state, "filter.broken.required", "true")
    with (top(state) / ".git/info/attributes").open("ab") as file:
        file.write(b"*.b filter=broken\n")
    with pytest.raises(AnnexError):
        check_out(state, {b"a.b": PLAIN, b"other": PLAIN})
    assert sorted(os.listdir(top(state))) == [".git", "first"]
    assert status(state) == b""


def test_what_was_converted_comes_back_so_when_a_checkout_is_undone(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_out(state, {b".gitattributes": (0o100644, b"*.txt eol=crlf\n"), b"a.txt": PLAIN})

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    next_commit(state, {})
    monkeypatch.setattr(checkout_module, "_move_ref", fails)
    with pytest.raises(OSError, match="No space"):
        check_out(state, {b"a.txt": (0o100644, b"changed\n")})
    assert read(state, b"a.txt") == TEXT.replace(b"\n", b"\r\n")
    assert status(state) == b""
