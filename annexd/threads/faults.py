"""Named points at which the crash tests end the process, as kill -9 would.

The environment variable ANNEXD_FAULT names one, and after a colon how often it is passed first: `upload-half:3`.
With `!` at its end (`upload-half!:3`) the process goes on: an exception that nobody expects is raised, once.
Without it a point costs one comparison.
"""

from __future__ import annotations

import itertools
import os
import signal

_NAME, _, _PASSES = os.environ.get("ANNEXD_FAULT", "").partition(":")
_POINT = _NAME.removesuffix("!")
_RAISES = _NAME.endswith("!")
_passed = itertools.count()     # next() on it is atomic: any thread may come by


def reach(point: str) -> None:
    """The work has come to `point`. The process ends here, without any clean-up, when the environment asks for it."""
    if not _POINT or point != _POINT:
        return
    passed = next(_passed)
    if not _RAISES and passed >= int(_PASSES or 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if _RAISES and passed == int(_PASSES or 0):
        raise RuntimeError(f"fault on purpose at {point}")
