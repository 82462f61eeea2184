"""Attributes and ignore rules of paths, from git commands that stay up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from annexd.errors import GitError
from annexd.git.process import GitProcess
from annexd.git.repository import GitRepository

# Paths are sent in groups that fit into the smallest pipe, so that writing never waits for reading.
_GROUP_BYTES = 3000

UNSPECIFIED = b"unspecified"


class IgnoreRule(NamedTuple):
    """The pattern that decides over a path, and where it stands."""

    source: bytes
    line: int
    pattern: bytes

    @property
    def ignores(self) -> bool:
        """Whether the path is ignored; a pattern with "!" takes it back in."""
        return not self.pattern.startswith(b"!")


class CheckAttr:
    """Values of chosen attributes; one owner thread.

    git keeps what it read of .gitattributes: call `reset` when such a file changed.
    """

    def __init__(self, repo: GitRepository, names: Sequence[bytes]) -> None:
        self._names = tuple(names)
        self._process = repo.start(b"check-attr", b"-z", b"--stdin", *self._names)

    def get(self, path: bytes) -> dict[bytes, bytes]:
        """Attribute -> value; b"set", b"unset", b"unspecified" or a text. `path` is relative to the top.

        Raises GitError.
        """
        return self.get_many([path])[path]

    def get_many(self, paths: Iterable[bytes]) -> dict[bytes, dict[bytes, bytes]]:
        """The same for many paths at once."""
        found: dict[bytes, dict[bytes, bytes]] = {}
        for group in _groups(paths):
            self._process.write(b"\0".join(group) + b"\0")
            for path in group:
                values = found[path] = {}
                for _ in self._names:
                    self._process.read_until(b"\0")
                    name = self._process.read_until(b"\0")
                    values[name] = self._process.read_until(b"\0")
        return found

    def reset(self) -> None:
        """Read .gitattributes files anew from now on."""
        self._process.close()

    def close(self) -> None:
        """End git; the next question starts it again."""
        self._process.close()


class CheckIgnore:
    """Whether .gitignore, info/exclude and core.excludesFile ignore a path; one owner thread.

    Only patterns count: git leaves tracked files alone whatever matches them, which is the caller's to know.
    git keeps what it read: call `reset` when an ignore file changed.
    """

    def __init__(self, repo: GitRepository) -> None:
        self._process: GitProcess = repo.start(
            b"check-ignore", b"-z", b"--stdin", b"--verbose", b"--non-matching", b"--no-index"
        )

    def ignored(self, path: bytes) -> bool:
        """Whether a path relative to the top is ignored; with a final "/" it is judged as a directory."""
        rule = self.rule(path)
        return rule is not None and rule.ignores

    def rule(self, path: bytes) -> IgnoreRule | None:
        """The rule that decides over a path, or None. A path git refuses (beyond a symlink) has no rule."""
        return self.rules([path]).get(path)

    def ignored_many(self, paths: Iterable[bytes]) -> set[bytes]:
        """Those of the paths that are ignored."""
        return {path for path, rule in self.rules(paths).items() if rule.ignores}

    def rules(self, paths: Iterable[bytes]) -> dict[bytes, IgnoreRule]:
        """The deciding rule of each path that has one."""
        found: dict[bytes, IgnoreRule] = {}
        for group in _groups(paths):
            try:
                found.update(self._ask(group))
            except GitError:
                # One path that git cannot judge ends it: leave out only that one.
                for path in group:
                    with suppress(GitError):
                        found.update(self._ask([path]))
        return found

    def _ask(self, group: Sequence[bytes]) -> dict[bytes, IgnoreRule]:
        self._process.write(b"\0".join(group) + b"\0")
        found: dict[bytes, IgnoreRule] = {}
        for path in group:
            source, line, pattern, _ = (self._process.read_until(b"\0") for _ in range(4))
            if pattern:
                found[path] = IgnoreRule(source, int(line), pattern)
        return found

    def reset(self) -> None:
        """Read the ignore files anew from now on."""
        self._process.close()

    def close(self) -> None:
        """End git; the next question starts it again."""
        self._process.close()


def _groups(paths: Iterable[bytes]) -> Iterable[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for path in paths:
        if not path:
            continue
        if group and size + len(path) >= _GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(path)
        size += len(path) + 1
    if group:
        yield group
