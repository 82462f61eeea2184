"""What a person sees of several jobs: whole lines above, bars below, and nothing scrambled, whatever happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.annexd import Annexd
from tests.support.repositories import git
from tests.support.terminal import annexd_on_terminal

SMALL = 60
LARGE = 4
LARGE_BYTES = 3_000_000
SPEED = "3MB"       # a second, so that bars are seen for some seconds

DONE = re.compile(r"get (s\d\d|large\d) \(from origin\.\.\.\) ok")
BAR = re.compile(r"get (large\d|s\d\d) +[━╸╺ ]*( +\d+% +[\d.]+ [kM]?B/[\d.]+ [kM]?B( +[\d.]+ [kM]?B/s( +\d+:\d\d)?)?)?")
TOTAL = re.compile(
    r"\d+ of \d+\+? fi(?:les|le?…|…) +[━╸╺ ]*( +\d+%)?"
    r"( +[\d.]+ [kM]?B(/[\d.]+ [kM]?B)?)?( +[\d.]+ [kM]?B/s( +\d+:\d\d)?)?"
)
RECORDED = "(recording state in git...)"


@pytest.fixture
def clone(tmp_path: Path, clean_environment: dict[str, str]) -> Path:
    """A clone of an annex with small files and large ones, none of which it has."""
    annexd = Annexd(clean_environment)
    source, clone = tmp_path / "source", tmp_path / "clone"
    source.mkdir()
    git(source, "init", "-q")
    annexd(source, "init", "source")
    for n in range(SMALL):
        (source / f"s{n:02}").write_bytes(b"%d" % n * 100)
    for n in range(LARGE):
        (source / f"large{n}").write_bytes(os.urandom(LARGE_BYTES))
    annexd(source, "add", "-q")
    git(source, "commit", "-qm", "files")
    git(tmp_path, "clone", "-q", str(source), str(clone))
    annexd(clone, "init", "clone")
    return clone


def is_whole(line: str) -> bool:
    """Whether a line is one that was meant, or the start of one that has not come yet."""
    return any(pattern.fullmatch(line) for pattern in (DONE, BAR, TOTAL)) or line in ("", RECORDED)


@pytest.mark.parametrize(("jobs", "rows"), [("1", 24), ("4", 24), ("4", 5)], ids=["one job", "four jobs", "few rows"])
def test_no_line_is_ever_scrambled(clone: Path, clean_environment: dict[str, str], jobs: str, rows: int) -> None:
    bad: set[str] = set()
    with annexd_on_terminal(
        clone, "get", f"-J{jobs}", "-c", f"annex.bwlimit={SPEED}", env=clean_environment, rows=rows
    ) as terminal:
        seen_bars: set[str] = set()

        def look() -> bool:
            bad.update(line for line in terminal.screen if not is_whole(line))
            seen_bars.update(found[1] for line in terminal.screen if (found := BAR.fullmatch(line)) and "%" in line)
            return False

        terminal.watch(look)
        assert terminal.wait() == 0
        # Bars come in one piece, but a piece may be read in parts: what is only on its way is no scramble.
        assert len(bad) < 3 and not any("ok" in line for line in bad), bad
        assert len(seen_bars) >= 2      # all, on an idle machine; a busy one may show some too briefly to be seen
        done = sorted(found[1] for line in terminal.everything if (found := DONE.fullmatch(line)))
        assert done == sorted([f"s{n:02}" for n in range(SMALL)] + [f"large{n}" for n in range(LARGE)])
        assert len(terminal.everything) == SMALL + LARGE + 1, "something is left of the bars"
        assert terminal.everything[-1] == RECORDED


def test_errors_stand_with_their_files_and_not_in_the_bars(
    clone: Path, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    for damaged in ("large1", "s07"):
        path = (tmp_path / "source" / damaged).resolve()
        os.chmod(path, 0o644)
        path.write_bytes(b"?" * path.stat().st_size)
    with annexd_on_terminal(
        clone, "get", "-J3", "-c", f"annex.bwlimit={SPEED}", env=clean_environment, rows=40, columns=150
    ) as terminal:
        assert terminal.wait() == 1
        lines = terminal.everything
        assert lines[-1] == "get: 2 failed"
        for damaged in ("large1", "s07"):
            at = lines.index(next(line for line in lines if line.startswith(f"get {damaged} ")))
            assert "does not match its checksum" in lines[at + 1]
            assert lines[at + 2 : at + 7].count("failed") == 1
        assert sum(DONE.fullmatch(line) is not None for line in lines) == SMALL + LARGE - 2


def test_ctrl_c_leaves_a_clean_screen_and_the_next_run_goes_on(
    clone: Path, clean_environment: dict[str, str]
) -> None:
    with annexd_on_terminal(
        clone, "get", "-J3", "-c", "annex.bwlimit=1MB", env=clean_environment
    ) as terminal:
        terminal.watch(lambda: sum(" 1" in line and "large" in line and "%" in line for line in terminal.screen) >= 1)
        terminal.type(b"\x03")
        assert terminal.wait() == 130
        left = [line.replace("^C", "").rstrip() for line in terminal.everything]
        assert all(DONE.fullmatch(line) or line == "" for line in left), left
    partial = list((clone / ".git/annex/tmp").iterdir())
    assert partial and all(0 < file.stat().st_size < LARGE_BYTES for file in partial)
    assert not list((clone / ".git/annex/annexd/unrecorded").iterdir())

    annexd = Annexd(clean_environment)
    before = {file.name: file.stat().st_size for file in partial}
    progress = annexd(clone, "get", "--json-progress", "-J2").out
    first = {}
    for line in map(json.loads, progress.splitlines()):
        if "action" in line and line["action"]["key"].encode() not in first:
            first.setdefault(line["action"]["key"], line["byte-progress"])
    resumed = [key for key in first if key in before]
    assert resumed and all(first[key] >= min(before[key], 1 << 16) for key in resumed)
    assert annexd(clone, "find", "--not", "--in", "here").out == ""
    assert not list((clone / ".git/annex/tmp").iterdir())


def test_without_a_terminal_there_are_only_plain_lines(clone: Path, clean_environment: dict[str, str]) -> None:
    out = Annexd(clean_environment)(clone, "get", "-J3").out
    assert "\x1b" not in out and "\r" not in out
    lines = out.splitlines()
    assert lines[-1] == RECORDED
    assert all(DONE.fullmatch(line) for line in lines[:-1]) and len(lines) == SMALL + LARGE + 1


def test_the_library_for_bars_is_loaded_for_a_terminal_only(clone: Path, clean_environment: dict[str, str]) -> None:
    code = (
        "import sys; from annexd.cli.main import main; main(['get', '-J2', '-q']); main(['find']); "
        "sys.exit(any(name == 'rich' or name.startswith('rich.') for name in sys.modules))"
    )
    done = subprocess.run(
        ["python", "-c", code], cwd=clone, env=clean_environment, stdout=subprocess.DEVNULL, timeout=60
    )
    assert done.returncode == 0


def test_what_a_killed_command_moved_is_recorded_by_the_next(clone: Path, clean_environment: dict[str, str]) -> None:
    annexd = Annexd(clean_environment)
    with annexd_on_terminal(clone, "get", "-J2", "-c", "annex.bwlimit=1MB", env=clean_environment) as terminal:
        terminal.watch(lambda: any("s59" in line for line in terminal.screen))
        # leaving the block kills it
    assert (clone / "s59").exists()
    uuid = git(clone, "config", "annex.uuid").decode().strip()
    assert list((clone / ".git/annex/annexd/unrecorded").iterdir())
    assert not list((clone / ".git/annex").glob("journal/*"))
    annexd(clone, "get", "s00")
    found = annexd(clone, "whereis", "s59", "--json").out
    assert uuid in [place["uuid"] for place in json.loads(found)["whereis"]]
    assert not list((clone / ".git/annex/annexd/unrecorded").iterdir())
