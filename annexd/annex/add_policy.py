"""Where a new file goes: into the annex, locked or unlocked, into git, or nowhere."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable
from typing import NamedTuple

from annexd.annex.attribute_names import ATTRIBUTES, BACKEND, LARGE_FILES
from annexd.annex.config import AnnexConfig
from annexd.annex.ingest import AddAs
from annexd.annex.settings import Settings
from annexd.backends.registry import DEFAULT
from annexd.formats.largefiles import HEAD, Matcher, MatchFile, compile_matcher
from annexd.git.attributes import UNSPECIFIED, CheckAttr

__all__ = ["ATTRIBUTES", "AddDecision", "AddPolicy", "Decision", "is_dotfile"]

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_SWITCHES = {b"set": "anything", b"unset": "nothing"}


class AddDecision(enum.Enum):
    """What becomes of a file."""

    ANNEX_LOCKED = "annexed, locked"
    ANNEX_UNLOCKED = "annexed, unlocked"
    GIT = "added to git"
    SKIP = "left alone"


class Decision(NamedTuple):
    """The decision, why it was not the annex, and the name of the backend for a new key."""

    add_to: AddDecision
    backend: bytes = DEFAULT
    reason: str = ""


class AddPolicy:
    """Decides by dotfiles, annex.largefiles, annex.addsmallfiles and annex.addunlocked. Owned by one thread.

    `attributes` must know ATTRIBUTES. `when_unset` is what happens without annex.addunlocked: `git annex add` locks,
    the assistant does not; `always_unlocked` (and core.symlinks=false) and `backend` override all settings.
    Source: git-annex, which files are annexed when adding.
    """

    def __init__(
        self,
        config: AnnexConfig,
        settings: Settings,
        attributes: CheckAttr,
        *,
        when_unset: AddAs = AddAs.UNLOCKED,
        always_unlocked: bool = False,
        backend: bytes | None = None,
    ) -> None:
        self._config = config.with_config_log(settings.config)
        self._attributes = attributes
        self._when_unset = when_unset
        self._always_unlocked = always_unlocked or not config.symlinks
        self._backend = backend
        self._matchers: dict[str, Matcher] = {}
        self._known: dict[bytes, dict[bytes, bytes]] = {}

    def prefetch(self, paths: Iterable[bytes]) -> None:
        """Ask for the attributes of many paths at once, which is quicker; forgets those asked for before."""
        self._known = self._attributes.get_many(paths)

    def decide(self, path: bytes, size: int, path_abs: bytes) -> Decision:
        """What to do with the regular file; looks into it only if an expression asks for its kind.

        Raises ConfigError for an expression that does not parse, OSError, GitError.
        """
        values = self._known.get(path) or self._attributes.get(path)
        backend = self.backend_for(values)
        if is_dotfile(path) and not self._config.dotfiles:
            return self._small("dotfile", backend)
        file = MatchFile(path, size, lambda: _read_head(path_abs))
        expression = self._large_files(values)
        if expression is not None and not self._matcher(expression).matches(file):
            return self._small("annex.largefiles does not match it", backend)
        locked = self._add_as(file) is AddAs.LOCKED
        return Decision(AddDecision.ANNEX_LOCKED if locked else AddDecision.ANNEX_UNLOCKED, backend)

    def annexed(self, path: bytes, size: int, path_abs: bytes) -> AddDecision:
        """How the file is annexed if it is to be annexed in any case. Errors as `decide`."""
        locked = self._add_as(MatchFile(path, size, lambda: _read_head(path_abs))) is AddAs.LOCKED
        return AddDecision.ANNEX_LOCKED if locked else AddDecision.ANNEX_UNLOCKED

    def wants_annexed(self, path: bytes, size: int, path_abs: bytes) -> bool:
        """Whether an expression is set and sends the file to the annex: what `git add` goes by. Errors as `decide`."""
        values = self._known.get(path) or self._attributes.get(path)
        expression = self._large_files(values)
        if expression is None or (is_dotfile(path) and not self._config.dotfiles):
            return False
        return self._matcher(expression).matches(MatchFile(path, size, lambda: _read_head(path_abs)))

    def backend_of(self, path: bytes) -> bytes:
        """The backend for a new key of this file."""
        return self.backend_for(self._known.get(path) or self._attributes.get(path))

    def backend_for(self, values: dict[bytes, bytes]) -> bytes:
        """The same, by the attributes of a file. Source: git-annex, choice of backend."""
        if self._backend is not None:
            return self._backend
        attribute = values.get(BACKEND, UNSPECIFIED)
        if attribute not in (UNSPECIFIED, b"set", b"unset", b""):
            return attribute
        return self._config.backend or DEFAULT

    def _small(self, reason: str, backend: bytes) -> Decision:
        if self._config.add_small_files:
            return Decision(AddDecision.GIT, backend, reason)
        return Decision(AddDecision.SKIP, backend, f"{reason}, and annex.addsmallfiles is false")

    def _large_files(self, values: dict[bytes, bytes]) -> str | None:
        if self._config.large_files is not None:
            return self._config.large_files
        attribute = values.get(LARGE_FILES, UNSPECIFIED)
        if attribute != UNSPECIFIED:
            return _SWITCHES.get(attribute) or os.fsdecode(attribute)
        return self._config.shared_large_files

    def _add_as(self, file: MatchFile) -> AddAs:
        if self._always_unlocked:
            return AddAs.UNLOCKED
        setting = self._config.add_unlocked
        if setting is None:
            return self._when_unset
        unlocked = _BOOLEANS.get(setting.strip().lower())
        if unlocked is None:
            unlocked = self._matcher(setting).matches(file)
        return AddAs.UNLOCKED if unlocked else AddAs.LOCKED

    def _matcher(self, expression: str) -> Matcher:
        found = self._matchers.get(expression)
        if found is None:
            found = self._matchers[expression] = compile_matcher(expression)
        return found


def is_dotfile(path: bytes) -> bool:
    """Whether a component of the path starts with a dot."""
    return path.startswith(b".") or b"/." in path


def _read_head(path_abs: bytes) -> bytes:
    fd = os.open(path_abs, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(fd, HEAD)
    finally:
        os.close(fd)
