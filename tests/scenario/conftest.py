"""Two annexes of which each is the remote of the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.oracle import Oracle
from tests.support.pair import Pair, make_pair


@pytest.fixture
def pair(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Pair]:
    """Both repositories, empty, without daemons."""
    with make_pair(tmp_path, clean_environment) as made:
        yield made


@pytest.fixture(scope="module")
def running_pair(tmp_path_factory: pytest.TempPathFactory, clean_environment: dict[str, str]) -> Iterator[Pair]:
    """Both repositories with their daemons, for all tests of a file: the next bears what one does to them."""
    with make_pair(tmp_path_factory.mktemp("pair"), clean_environment) as made:
        made.start()
        yield made


@pytest.fixture
def oracle(clean_environment: dict[str, str], annex_oracle: Path) -> Oracle:
    """What git and git-annex say of a repository."""
    return Oracle(clean_environment)
