"""Fixtures of the annex floor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.state import AnnexState
from tests.support.repositories import make_removable
from tests.unit.annex.helpers import make_annex, open_annex


@pytest.fixture
def annex_path(tmp_path: Path) -> Iterator[Path]:
    """A new annex."""
    yield make_annex(tmp_path / "annex")
    make_removable(tmp_path)


@pytest.fixture
def state(annex_path: Path) -> Iterator[AnnexState]:
    """The state of a new annex."""
    with open_annex(annex_path) as opened:
        yield opened
