"""git's settings as git itself sees them: one process reads them all, later look-ups are in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable

from annexd.errors import ConfigError
from annexd.git.config_file import parse_bool, parse_int
from annexd.git.repository import GitRepository


class GitConfig:
    """All settings that hold in a repository: system, user, repository, work tree and `-c`. Never changes."""

    def __init__(self, values: dict[bytes, list[bytes | None]]) -> None:
        self._values = values

    @classmethod
    def load(cls, repo: GitRepository) -> GitConfig:
        """Ask git once. Blocks for some milliseconds. Raises GitError."""
        return cls.parse(repo.run(b"config", b"--list", b"-z", b"--includes"))

    @classmethod
    def parse(cls, listing: bytes) -> GitConfig:
        """From the output of `git config --list -z`: NAME newline VALUE NUL, or NAME NUL when it has no value."""
        values: dict[bytes, list[bytes | None]] = {}
        for item in listing.split(b"\0"):
            if item:
                name, found, value = item.partition(b"\n")
                values.setdefault(name, []).append(value if found else None)
        return cls(values)

    def get_all(self, name: str | bytes) -> list[bytes]:
        """Every value of a setting, weakest first."""
        return [b"true" if value is None else value for value in self._values.get(_canonical(name), ())]

    def get_bytes(self, name: str | bytes) -> bytes | None:
        """The value that counts, or None when it is not set. A setting without value reads as b"true"."""
        values = self._values.get(_canonical(name))
        if not values:
            return None
        return b"true" if values[-1] is None else values[-1]

    def get(self, name: str | bytes) -> str | None:
        """The value that counts as text; bytes that are not UTF-8 come back as surrogate escapes."""
        value = self.get_bytes(name)
        return None if value is None else os.fsdecode(value)

    def get_bool(self, name: str | bytes, default: bool) -> bool:
        """Raises ConfigError when the value is no boolean."""
        value = self.get_bytes(name)
        if value is None:
            return default
        try:
            return parse_bool(value)
        except ValueError as e:
            raise ConfigError(f"{_shown(name)} is {_shown(value)!r}, which is neither true nor false") from e

    def get_int(self, name: str | bytes, default: int) -> int:
        """Raises ConfigError when the value is no number (with git's optional k, m, g)."""
        value = self.get_bytes(name)
        if value is None:
            return default
        try:
            return parse_int(value)
        except ValueError as e:
            raise ConfigError(f"{_shown(name)} is {_shown(value)!r}, which is not a number") from e

    def names(self) -> Iterable[bytes]:
        """Every setting's name, as git lists it."""
        return self._values.keys()

    def remotes(self) -> tuple[str, ...]:
        """Names of the configured remotes in the order of their first setting."""
        names: dict[str, None] = {}
        for name in self._values:
            if name.startswith(b"remote.") and name.count(b".") >= 2:
                names[os.fsdecode(name[7 : name.rindex(b".")])] = None
        return tuple(names)

    def section(self, prefix: str | bytes) -> dict[bytes, bytes]:
        """Settings whose name starts with `prefix` and a dot, by the rest of their name; last values."""
        start = _canonical(prefix, whole=False) + b"."
        return {
            name[len(start) :]: b"true" if values[-1] is None else values[-1]
            for name, values in self._values.items()
            if name.startswith(start)
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GitConfig) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]  # equality is by content, and nobody needs it as a key


def set_config(repo: GitRepository, name: str | bytes, value: str | bytes) -> None:
    """Set one setting in the repository's own config file, replacing what it had. Raises GitError."""
    repo.run(b"config", b"--local", b"--replace-all", os.fsencode(name), os.fsencode(value))


def unset_config(repo: GitRepository, name: str | bytes) -> None:
    """Remove a setting from the repository's own config file; no error when it is not there. Raises GitError."""
    name = os.fsencode(name)
    done = repo.complete(b"config", b"--local", b"--unset-all", name)
    if done.returncode not in (0, 5):  # 5: there was none
        repo.run(b"config", b"--local", b"--unset-all", name)


def _canonical(name: str | bytes, *, whole: bool = True) -> bytes:
    """As git lists names: section and last part in lower case, the middle part as it is."""
    name = os.fsencode(name)
    first, dot, rest = name.partition(b".")
    if not whole:
        return first.lower() + dot + rest
    middle, dot2, last = rest.rpartition(b".")
    return first.lower() + dot + middle + dot2 + last.lower()


def _shown(value: str | bytes) -> str:
    return os.fsencode(value).decode("utf-8", "backslashreplace")
