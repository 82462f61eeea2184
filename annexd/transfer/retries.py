"""Whether a transfer that failed is tried again at once, by a command that somebody waits for.

Source: git-annex, annex.retry, annex.forward-retry and annex.retry-delay.
"""

from __future__ import annotations

from annexd.annex.config import AnnexConfig, RemoteConfig
from annexd.errors import AnnexError, RemoteError, Retry, TransferError

LONGEST_DELAY = 3600.0      # seconds


class Retries:
    """Counts the tries of one transfer."""

    def __init__(self, config: AnnexConfig, remote: RemoteConfig) -> None:
        self._retries = config.retry if remote.retry is None else remote.retry
        self._forward = _number(remote.setting("annex-forward-retry"), config.forward_retry)
        self._delay = float(_number(remote.setting("annex-retry-delay"), config.retry_delay))
        self._best = 0

    def after(self, error: AnnexError | None, done: int) -> float | None:
        """Seconds to wait before the next try; None when there is to be none. `done` are bytes in place."""
        if not isinstance(error, TransferError | RemoteError) or error.retry is Retry.NEVER:
            return None     # a full disk, or content that is gone or damaged, stays so
        got_further, self._best = done > self._best, max(done, self._best)
        if got_further and self._forward > 0:
            self._forward -= 1
            return 0.0
        if self._retries <= 0:
            return None
        self._retries -= 1
        delay, self._delay = self._delay, min(2 * self._delay, LONGEST_DELAY)
        return delay


def _number(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.strip().isdigit() else default
