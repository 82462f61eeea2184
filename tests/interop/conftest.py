"""Fixtures: the sample repository, the oracle, and both programs in one environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop import sample as sample_repository
from tests.interop.oracle import Oracle
from tests.interop.sample import run


@pytest.fixture(scope="session")
def interop_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A home of its own, with git-annex and annexd of this environment on PATH."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Interop\n\temail = interop@example.com\n[init]\n\tdefaultBranch = master\n"
        "[protocol \"file\"]\n\tallow = always\n"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_", "DBUS_", "GNUPG"))}
    scripts = Path(sys.executable).parent
    env.update(HOME=str(home), GIT_CONFIG_NOSYSTEM="1", LC_ALL="C.UTF-8", PATH=f"{scripts}{os.pathsep}{env['PATH']}")
    env["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    if shutil.which("git-annex", path=env["PATH"]) is None:
        if os.environ.get("CI"):
            pytest.fail("the real git-annex is not installed: the interop tests cannot run")
        pytest.skip("the real git-annex is not installed (pip install git-annex)")
    return env


@pytest.fixture(scope="session")
def pristine_sample(tmp_path_factory: pytest.TempPathFactory, interop_env: dict[str, str]) -> Path:
    return sample_repository.build(tmp_path_factory.mktemp("sample") / "it", interop_env)


@pytest.fixture
def sample(pristine_sample: Path, tmp_path: Path) -> Iterator[Path]:
    where = sample_repository.copy(pristine_sample, tmp_path / "sample")
    yield where
    sample_repository.make_removable(where)


@pytest.fixture
def oracle(interop_env: dict[str, str]) -> Oracle:
    return Oracle(interop_env)


Annexd = Callable[..., str]


@pytest.fixture
def annexd_cli(interop_env: dict[str, str]) -> Annexd:
    """annexd_cli(repo, "get", "file") -> standard output."""

    def call(repo: Path, *args: str, status: int | None = 0) -> str:
        return run([sys.executable, "-m", "annexd", *args], repo, interop_env, status=status)

    return call
