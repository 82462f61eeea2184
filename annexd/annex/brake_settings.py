"""When a mass deletion or rewrite is held back: `annexd.brake` and what goes with it in git config. Off unless set."""

from __future__ import annotations

from dataclasses import dataclass

from annexd.errors import ConfigError
from annexd.formats.units import parse_duration
from annexd.git.config import GitConfig

DEFAULT_WINDOW = "1h"
DEFAULT_FILES = 10

_OFF = frozenset(("", "false", "no", "off", "0", "0%"))


@dataclass(frozen=True, slots=True)
class BrakeSettings:
    """The brake is on.

    It trips when more than `percent` of the files, and at least `files` of them, were deleted or rewritten within
    `window` seconds.
    """

    percent: float
    window: float
    files: int

    @classmethod
    def load(cls, git: GitConfig) -> BrakeSettings | None:
        """annexd.brake, annexd.brakewindow, annexd.brakefiles; None when it is off. Raises ConfigError."""
        text = (git.get("annexd.brake") or "").strip().lower()
        if text in _OFF:
            return None
        files = git.get_int("annexd.brakefiles", DEFAULT_FILES)
        if files < 1:
            raise ConfigError(f"annexd.brakefiles is {files}, but must be at least 1")
        window = parse_duration(git.get("annexd.brakewindow") or DEFAULT_WINDOW)
        return cls(_percent(text), float(window), files)


def _percent(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0 < percent <= 100:
        raise ConfigError(f"annexd.brake is {text!r}, which is no share of the files", hint="use something like 20%")
    return percent
