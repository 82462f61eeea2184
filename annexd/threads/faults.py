"""Named points at which the crash tests end the process, as kill -9 would.

The environment variable ANNEXD_FAULT names one, and after a colon how often it is passed first: `upload-half:3`.
Without it a point costs one comparison.
"""

from __future__ import annotations

import itertools
import os
import signal

_POINT, _, _PASSES = os.environ.get("ANNEXD_FAULT", "").partition(":")
_passed = itertools.count()     # next() on it is atomic: any thread may come by


def reach(point: str) -> None:
    """The work has come to `point`. The process ends here, without any clean-up, when the environment asks for it."""
    if _POINT and point == _POINT and next(_passed) >= int(_PASSES or 0):
        os.kill(os.getpid(), signal.SIGKILL)
