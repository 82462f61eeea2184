"""Fixtures of all tests: a clean environment, repositories, the program, the real git-annex."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.support import annexd as programs
from tests.support import environment, repositories
from tests.support.eventually import eventually as wait_until


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A home of its own, git's configuration with a name in it, and nothing else; also for what tests start."""
    before = dict(os.environ)
    env = environment.isolated(tmp_path_factory.mktemp("home"))
    _set_environment(env)
    yield env
    _set_environment(before)


def _set_environment(env: dict[str, str]) -> None:
    for name in set(os.environ) - set(env):
        if not name.startswith("PYTEST_"):
            del os.environ[name]
    os.environ.update(env)


@pytest.fixture
def git_repo(tmp_path: Path) -> Iterator[Path]:
    """An empty git repository."""
    yield repositories.make_git_repo(tmp_path / "repo")
    repositories.make_removable(tmp_path)


@pytest.fixture(scope="session")
def annex_oracle(clean_environment: dict[str, str]) -> Path:
    """The real git-annex. Where it is missing the test is skipped, but not in CI, where that would hide too much."""
    found = shutil.which("git-annex", path=clean_environment["PATH"])
    if found is not None:
        return Path(found)
    reason = "the real git-annex is not installed (`make test` installs it)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def annexd(clean_environment: dict[str, str]) -> programs.Annexd:
    """annexd(repo, "get", "file") runs the program."""
    return programs.Annexd(dict(clean_environment))


@pytest.fixture
def daemon(clean_environment: dict[str, str]) -> Callable[..., AbstractContextManager[programs.Daemon]]:
    """`with daemon(repo) as running:` has the daemon up for the time of the block."""
    return partial(programs.daemon, env=clean_environment)


@pytest.fixture
def eventually() -> Callable[..., object]:
    """eventually(condition, deadline) waits until the condition is true."""
    return wait_until
