"""How often a command tries a transfer."""

from __future__ import annotations

import pytest

from annexd.annex.config import AnnexConfig, RemoteConfig
from annexd.errors import (
    ContentMissing,
    NoSpace,
    RemoteRefused,
    RemoteUnavailable,
    TransferFailed,
    TransferStalled,
    VerificationFailed,
)
from annexd.transfer.retries import Retries

FAILED = TransferFailed("cut off")


def test_a_transfer_that_gets_further_is_tried_again_at_once_but_not_for_ever() -> None:
    retries = Retries(AnnexConfig(forward_retry=3), RemoteConfig("r"))
    assert [retries.after(FAILED, done) for done in (10, 20, 30, 40)] == [0.0, 0.0, 0.0, None]


def test_one_that_gets_no_further_is_tried_as_often_as_was_asked_for_with_growing_pauses() -> None:
    retries = Retries(AnnexConfig(retry=3, retry_delay=2), RemoteConfig("r"))
    assert [retries.after(FAILED, 0) for _ in range(4)] == [2.0, 4.0, 8.0, None]


def test_a_remotes_own_settings_count_first() -> None:
    remote = RemoteConfig("r", retry=1, settings=(("annex-forward-retry", "0"), ("annex-retry-delay", "7")))
    retries = Retries(AnnexConfig(retry=9), remote)
    assert [retries.after(TransferStalled("s"), 5), retries.after(RemoteUnavailable("away"), 9)] == [7.0, None]


@pytest.mark.parametrize("error", [
    ContentMissing("gone"), NoSpace("full"), VerificationFailed("wrong"), RemoteRefused("no"), None
], ids=str)
def test_what_will_not_change_is_not_tried_again(error: Exception | None) -> None:
    assert Retries(AnnexConfig(retry=5), RemoteConfig("r")).after(error, 100) is None  # type: ignore[arg-type]
