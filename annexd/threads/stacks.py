"""What every thread does just now, as text."""

from __future__ import annotations

import sys
import threading
import traceback


def dump_all() -> str:
    """The stacks of all threads of this process, newest call last. Blocks nobody; may be called from any thread."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sorted(sys._current_frames().items()):
        stack = "".join(traceback.format_stack(frame))
        parts.append(f"--- {names.get(ident, 'unknown')} ({ident})\n{stack}")
    return "\n".join(parts)
