"""How fast content may move, and how slow it must not get: what git config says, as values.

Source: git-annex, annex.bwlimit and annex.stalldetection.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from annexd.errors import ConfigError
from annexd.formats.transfer_info import Direction
from annexd.formats.units import parse_duration, parse_size

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0", "")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `rate` bytes a second for all that the setting `name` applies to, together."""

    name: str
    rate: int


@dataclass(frozen=True, slots=True)
class StallRule:
    """A transfer stalls when less than `amount` bytes move in `seconds`."""

    amount: int
    seconds: float


class Probe(enum.Enum):
    """Find out by watching: a transfer that moved steadily has stalled when nothing moves for a minute."""

    PROBE = "true"


StallSetting = StallRule | Probe


class Settings(Protocol):
    """What this needs of git's configuration."""

    def get(self, name: str) -> str | None:
        """The value of a setting, None when it is not set."""


@dataclass(frozen=True, slots=True)
class SpeedSettings:
    """The settings as of one moment. A value that makes no sense counts as unset, as git-annex has it."""

    values: Mapping[str, str]

    @classmethod
    def load(cls, settings: Settings, remotes: tuple[str, ...]) -> SpeedSettings:
        """Those that are set, for all remotes and for the named ones."""
        names = [*_names("bwlimit", None), *_names("stalldetection", None)]
        names += [name for remote in remotes for what in ("bwlimit", "stalldetection") for name in _names(what, remote)]
        return cls({name: value for name in names if (value := settings.get(name)) is not None})

    def limit(self, remote: str, direction: Direction) -> Limit | None:
        """What holds back transfers with a remote in one direction.

        A remote's own settings count before those for all, and those for one direction before those for both.
        """
        for name, value in self._set("bwlimit", remote, direction):
            rate = _size(value.partition("/")[0])
            if rate is not None:
                return Limit(name, rate) if rate else None
        return None

    def stall(self, remote: str, direction: Direction) -> StallSetting | None:
        """When such a transfer counts as stalled; None when it never does."""
        for _, value in self._set("stalldetection", remote, direction):
            if value.lower() in _FALSE:
                return None
            if value.lower() in _TRUE:
                return Probe.PROBE
            rule = _rule(value)
            if rule is not None:
                return rule
        return None

    def _set(self, what: str, remote: str, direction: Direction) -> list[tuple[str, str]]:
        if not self.values:     # asked before every piece that moves
            return []
        word = f"{what}-{direction.value.decode()}"
        names = (f"remote.{remote}.annex-{word}", f"remote.{remote}.annex-{what}", f"annex.{word}", f"annex.{what}")
        return [(name, self.values[name].strip()) for name in names if name in self.values]


NO_SETTINGS = SpeedSettings({})

LoadSettings = Callable[[], SpeedSettings]


def _names(what: str, remote: str | None) -> tuple[str, ...]:
    start = "annex." if remote is None else f"remote.{remote}.annex-"
    return tuple(f"{start}{what}{end}" for end in ("", "-upload", "-download"))


def _size(text: str) -> int | None:
    try:
        return parse_size(text)
    except ConfigError:
        return None


def _rule(text: str) -> StallRule | None:
    amount, slash, time = text.partition("/")
    try:
        seconds = parse_duration(time)
        return StallRule(parse_size(amount), seconds) if slash and seconds else None
    except ConfigError:
        return None
