"""Commands that only look at history, by annexd and by git-annex in one repository: the answers must be the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.sample import make_removable

TEMPORARY = re.compile(r"git-blob-[^/]*|\t.*")       # names and times of git's temporary files


@dataclass
class Both:
    """A repository and the two programs under git-annex's name."""

    repo: Path
    envs: tuple[dict[str, str], dict[str, str]]

    def answers(self, argv: list[str], directory: str = ".", **env: str) -> list[tuple[int, str, str]]:
        found = []
        for each in self.envs:
            done = subprocess.run(
                argv, cwd=self.repo / directory, env={**each, **env}, capture_output=True, timeout=60, text=True
            )
            ours = "\n".join(line for line in done.stderr.splitlines() if line.startswith(("git-annex:", "error:")))
            found.append((done.returncode, done.stdout, ours))
        return found

    def same(self, *args: str, directory: str = ".", says: str = "") -> None:
        ours, theirs = self.answers(["git-annex", *args], directory)
        assert ours == theirs
        assert says in "".join(theirs[1:]), theirs

    def same_diff(self, driver: str, *args: str, says: str = "") -> None:
        answers = self.answers(["git", "diff", *args], GIT_EXTERNAL_DIFF=f"git-annex diffdriver {driver}")
        ours, theirs = (TEMPORARY.sub("", out) for _, out, _ in answers)
        assert ours == theirs
        assert answers[0][0] == answers[1][0]
        assert says in theirs, answers

    def act(self, *argv: str) -> str:
        done = subprocess.run(argv, cwd=self.repo, env=self.envs[1], capture_output=True, timeout=60, text=True)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, interop_env: dict[str, str]) -> Iterator[Both]:
    """A repository that git-annex made: content came, changed, went to a remote and away again."""
    top = tmp_path_factory.mktemp("history")
    script = top / "programs" / "git-annex"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom annexd.cli.main import main\nsys.exit(main())\n")
    script.chmod(0o755)
    show = top / "show"
    show.write_text("#!/bin/sh\nprintf '<%s>' \"$@\"; echo\n")
    show.chmod(0o755)
    ours = {**interop_env, "PATH": f"{script.parent}{os.pathsep}{interop_env['PATH']}"}
    made = Both(top / "repo", (ours, dict(interop_env)))
    made.repo.mkdir()
    act = made.act
    act("git", "init", "-q")
    act("git-annex", "init", "first")
    (made.repo / "d").mkdir()
    (made.repo / "d/f.txt").write_text("one\ntwo\n")
    (made.repo / "b").write_bytes(b"\0binary")
    act("git-annex", "add", ".")
    act("git", "commit", "-qm", "one")
    act("git", "clone", "-q", ".", str(top / "other"))
    act("git", "-C", str(top / "other"), "annex", "init", "second")
    act("git", "remote", "add", "other", str(top / "other"))
    act("git-annex", "copy", "--to", "other", "d/f.txt")
    act("git-annex", "unlock", "d/f.txt")
    (made.repo / "d/f.txt").write_text("one\nTWO\n")
    (made.repo / "plain").write_text("plain\n")
    act("git-annex", "add", "d/f.txt")
    act("git-annex", "add", "--force-small", "plain")
    act("git", "commit", "-qm", "two")
    act("git-annex", "move", "--to", "other", "b")
    act("git", "mv", "b", "moved")
    act("git", "commit", "-qm", "three")
    act("git-annex", "merge")
    yield made
    make_removable(top)


def test_log(both: Both) -> None:
    key = both.act("git-annex", "lookupkey", "moved").strip()
    both.same("log", says=" -- first")
    both.same("log", "moved", says="- ")
    both.same("log", "--raw-date", "d/f.txt", "moved")
    both.same("log", "f.txt", directory="d", says=" f.txt |")
    both.same("log", "--json", says='"logged":"removal"')
    both.same("log", "--all", says=key)
    both.same("log", "--all", "--json")
    both.same("log", "--gource", says="|M|moved")
    both.same("log", "--key", key, "--json", says='"input":[]')
    both.same("log", "--branch", "HEAD~1", "--raw-date", says="HEAD~1:b")
    for limit in (["--max-count", "1"], ["--since", "1 hour ago"], ["--until", "1 year ago"], ["--after", "yesterday"]):
        both.same("log", *limit, "moved")
    both.same("log", "plain")
    both.same("log", "nothing")
    both.same("log", "--all", "moved", says="Can only specify one of")


@pytest.mark.slow
def test_diffdriver(both: Both) -> None:
    show = f"-- {both.repo.with_name('show')} -x --"
    for args in (["HEAD~2", "HEAD~1"], ["--no-renames", "HEAD~1", "HEAD"], ["--no-renames", "HEAD~2"]):
        both.same_diff(show, *args, says="<-x>")
        both.same_diff("--text", *args, says="diff a/")
    both.same_diff("--text", "HEAD~2", "HEAD~1", says="+TWO")
    both.same_diff("-- false --", "HEAD~1", "HEAD")
    ours, _ = both.answers(["git", "diff", "-M", "HEAD~1", "HEAD"], GIT_EXTERNAL_DIFF=f"git-annex diffdriver {show}")
    assert "<moved><similarity index 100%" in ours[1]       # git-annex refuses to diff what was renamed
    both.same("diffdriver", says="Unexpected input")
    both.same("diffdriver", "--", "a", "b", says="Unexpected input: a b")
    both.same("diffdriver", "--", "true", "--", "unmerged")


def test_diffdriver_gets_content(both: Both) -> None:
    assert not (both.repo / "moved").exists()
    argv = ["git", "diff", "--no-renames", "HEAD~1", "HEAD"]
    driver = f"git-annex diffdriver --get -- {both.repo.with_name('show')} --"
    ours, _ = both.answers(argv, GIT_EXTERNAL_DIFF=driver)
    assert "get SHA256E-" in ours[1] and "objects" in ours[1]
    assert (both.repo / "moved").read_bytes() == b"\0binary"
