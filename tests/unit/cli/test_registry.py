"""The list of commands, and what the program does before any command runs."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import pytest

from annexd.cli import main as program
from annexd.cli import registry
from annexd.cli.arguments import Parser, add_common

COMMANDS = Path(registry.__file__).parent / "commands"


def test_every_command_file_is_registered_and_every_registered_command_has_its_file() -> None:
    files = {path.stem for path in COMMANDS.glob("*.py")} - {"__init__"}
    assert files == {registry.module_name(entry).rpartition(".")[2] for entry in registry.COMMANDS}


def test_no_command_is_registered_twice() -> None:
    names = [entry.name for entry in registry.COMMANDS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("entry", registry.COMMANDS, ids=lambda entry: entry.name)
def test_every_command_explains_its_options(entry: registry.Entry) -> None:
    command = registry.load(entry)
    parser = Parser(f"annexd {entry.name}", "", entry.summary)
    command.configure(parser)
    add_common(parser)
    assert parser.format_help().startswith(f"annexd {entry.name} - {entry.summary}\n\nUsage: ")
    assert isinstance(parser.parse([]), argparse.Namespace)


def test_the_overview_imports_no_command_and_comes_at_once() -> None:
    code = (
        "import sys, annexd.cli.main as m; m.main(['--help']);"
        "bad = [n for n in sys.modules if n.startswith('annexd.') and n.split('.')[1] not in ('cli', 'errors')"
        " or n.startswith('annexd.cli.commands.') or n in ('argparse', 'subprocess', 'json')];"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    took = min(_timed([sys.executable, "-m", "annexd", "--help"]) for _ in range(3))
    bare = min(_timed([sys.executable, "-c", "pass"]) for _ in range(3))
    assert took < 0.08 + 2 * bare


def _timed(argv: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def test_an_unknown_command_ends_with_status_1_and_the_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["no-such-command"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("Invalid argument `no-such-command'\n\nUsage: ")


def test_an_unknown_option_ends_with_status_1_and_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["find", "--no-such-option"]) == 1
    assert capsys.readouterr().err.startswith("Invalid option `--no-such-option'\n\nUsage: annexd find [PATH ...]")


def test_an_option_without_its_value_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["find", "--include"]) == 1
    assert capsys.readouterr().err.startswith("The option `--include` expects an argument.\n")


def test_an_expected_failure_is_one_line_with_its_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert program.main(["find"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("annexd: ")
    assert err.count("\n") == 1


def test_under_the_name_of_git_annex_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/git-annex", "find"])
    assert program.main() == 1
    assert capsys.readouterr().err.startswith("git-annex: ")
