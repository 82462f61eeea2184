"""`annexd conflicts` over what git-annex and annexd themselves left of a conflict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.oracle import Oracle
from tests.interop.sample import make_removable
from tests.support.annexd import Annexd


class Two:
    """Two annexes, laptop and server, in which two files were changed differently; `program` merged them."""

    def __init__(self, top: Path, env: dict[str, str], program: str) -> None:
        self.annexd = Annexd(env)
        self.oracle = Oracle(env)
        self.repo, self.server = top / "laptop", top / "server"
        for repo in (self.repo, self.server):
            repo.mkdir()
            self.oracle.git(repo, "init", "-q")
            self.annexd(repo, "init", repo.name)
            self.oracle.git(repo, "config", "annex.addunlocked", "true" if repo is self.repo else "false")
        self.oracle.git(self.repo, "remote", "add", "server", str(self.server))
        self.oracle.git(self.server, "remote", "add", "laptop", str(self.repo))
        self._begin()
        self.annexd(self.server, "sync")
        self.annexd(self.repo, "sync", status=None)
        for repo in (self.repo, self.server):
            for name in ("d/f.txt", "g"):
                (repo / name).unlink()
                (repo / name).write_text(f"{name} of {repo.name}\n")
            self.annexd(repo, "add", ".")
            self.oracle.git(repo, "commit", "-q", "-m", f"git-annex in {repo.name}")
        run = self.annexd if program == "annexd" else self.oracle.annex
        run(self.repo, "sync", "--content", status=None)

    def _begin(self) -> None:
        (self.repo / "d").mkdir()
        for name in ("d/f.txt", "g"):
            (self.repo / name).write_text("base\n")
        self.annexd(self.repo, "add", ".")
        self.annexd(self.repo, "sync", status=None)

    def listed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.annexd(self.repo, "conflicts", "--json").out.splitlines()]

    def files(self) -> list[str]:
        return self.oracle.git(self.repo, "ls-files").split()


@pytest.fixture(params=[pytest.param("annexd", marks=pytest.mark.slow), "git-annex"])
def two(tmp_path: Path, interop_env: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Two]:
    yield Two(tmp_path, interop_env, request.param)
    make_removable(tmp_path)


def test_versions_are_listed_with_device_and_settled(two: Two) -> None:
    f, g = two.listed()
    assert (f["file"], g["file"]) == ("d/f.txt", "g")
    assert [version["device"] for version in f["versions"]] in (["laptop", "server"], ["server", "laptop"])
    assert all(version["uuid"] and version["size"] and version["time"] for version in f["versions"] + g["versions"])
    said = two.annexd(two.repo, "conflicts").out
    assert "d/f.txt\n  d/f.variant-" in said and "laptop, 20" in said
    chosen = next(version["file"] for version in f["versions"] if version["device"] == "server")
    assert two.annexd(two.repo / "d", "conflicts", "--keep", Path(chosen).name).out.startswith("conflicts f.")
    assert [each["file"] for each in two.listed()] == ["g"]
    assert (two.repo / "d/f.txt").read_text() == "d/f.txt of server\n"
    two.annexd(two.repo, "conflicts", "--keep", "g", status=1)
    two.annexd(two.repo, "conflicts", "--keep-both")
    assert two.listed() == []
    assert two.annexd(two.repo, "conflicts").out == "no conflicts\n"
    names = [name for name in two.oracle.git(two.repo, "ls-files", "-z").split("\0") if name]
    assert names in (["d/f.txt", "g", "g (laptop)"], ["d/f.txt", "g", "g (server)"])
    assert {(two.repo / name).read_text() for name in names[1:]} == {"g of laptop\n", "g of server\n"}
    two.oracle.assert_sound(two.repo)


@pytest.mark.slow
def test_both_can_be_kept_under_names_of_ones_own(two: Two) -> None:
    assert "names go with" in two.annexd(two.repo, "conflicts", "mine", status=1).err
    two.annexd(two.repo, "conflicts", "--keep-both", "d/f.txt", "d/one.txt", "two.txt")
    assert {(two.repo / name).read_text() for name in ("d/one.txt", "two.txt")} == {
        "d/f.txt of laptop\n", "d/f.txt of server\n"
    }  # fmt: skip
    assert [each["file"] for each in two.listed()] == ["g"]
    assert "choose one that is free" in two.annexd(two.repo, "conflicts", "--keep-both", "g", "two.txt", status=1).err
    two.oracle.assert_sound(two.repo)
