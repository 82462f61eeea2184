"""Which permissions keep content from being changed by accident, and how they are put on and off."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress

from annexd.errors import ConfigError
from annexd.system import processes

WRITE_BITS = 0o222
GROUP_NAMES = frozenset(("group", "true", "yes", "on", "1"))
ALL_NAMES = frozenset(("all", "world", "everybody", "2"))


class Lockdown:
    """Freezes and thaws content: no write bits on the file, nor on the directory of its own that it lies in.

    `shared_repository` is core.sharedRepository, the commands are annex.freezecontent-command and
    annex.thawcontent-command. Where `crippled`, permissions mean nothing and are left alone. Any thread may use it.
    Source: git-annex, lockdown of content.
    """

    __slots__ = ("_crippled", "_dir_mode", "_freeze_command", "_thaw_command", "is_plain")

    def __init__(
        self,
        *,
        shared_repository: str | None = None,
        freeze_command: str | None = None,
        thaw_command: str | None = None,
        crippled: bool = False,
    ) -> None:
        self._crippled = crippled
        self._freeze_command = freeze_command
        self._thaw_command = thaw_command
        self._dir_mode = _shared_dir_mode(shared_repository)
        self.is_plain = not (crippled or freeze_command or thaw_command) and self._dir_mode is None
        """Whether freezing is nothing but taking the write bits of the file and its directory."""

    def freeze_file(self, path: bytes) -> None:
        """Take the write bits off; all others stay. OSError."""
        if not self._crippled:
            mode = os.stat(path).st_mode & 0o7777
            if mode & WRITE_BITS:
                os.chmod(path, mode & ~WRITE_BITS)
        self._run(self._freeze_command, path)

    def thaw_file(self, path: bytes) -> None:
        """Let the owner write again. OSError."""
        self._run(self._thaw_command, path)
        if not self._crippled:
            mode = os.stat(path).st_mode & 0o7777
            os.chmod(path, mode | 0o200)

    def freeze_dir(self, path: bytes) -> None:
        """Protect the directory of one content; in a shared repository the group keeps writing to it. OSError."""
        if self.is_plain:
            os.chmod(path, 0o555)
        elif not self._crippled:
            os.chmod(path, 0o555 if self._dir_mode is None else self._dir_mode)
            self._run(self._freeze_command, path)

    def thaw_dir(self, path: bytes) -> None:
        """Let the owner make and remove files in it. A directory of somebody else stays as it is. OSError."""
        self._run(self._thaw_command, path)
        if self._crippled:
            return
        mode = os.stat(path).st_mode & 0o7777
        if not mode & 0o200:
            with suppress(PermissionError):     # not ours: what is tried next says so
                os.chmod(path, mode | 0o200)

    def _run(self, command: str | None, path: bytes) -> None:
        if command:
            processes.run([b"sh", b"-c", _with_path(command, path)])


def _with_path(command: str, path: bytes) -> bytes:
    """The command line with `%path` replaced by the quoted path. Source: git-annex, annex.freezecontent-command."""
    if "%path" not in command:
        raise ConfigError(f"{command!r} has no %path", hint="see annex.freezecontent-command")
    return os.fsencode(command.replace("%path", shlex.quote(os.fsdecode(path))))


def _shared_dir_mode(shared: str | None) -> int | None:
    """The mode of a content's directory in a shared repository; None when it is not shared."""
    value = (shared or "").lower()
    if value in GROUP_NAMES:
        return 0o2775
    if value in ALL_NAMES:
        return 0o2777
    if value.startswith("0") and len(value) > 1 and all(digit in "01234567" for digit in value):
        bits = int(value, 8) & 0o666
        return 0o2000 | bits | (bits >> 2 & 0o111)
    return None
