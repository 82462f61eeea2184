"""Everything that can go wrong, as one tree sorted by what the catcher does about it.

    AnnexError
      FormatError              bytes do not parse
      GitError                 a git command failed
      ProcessError             another program failed
      RepositoryError          no annex here, unknown version, damaged
        NotAnAnnex             a git repository that is not (yet) an annex
        DifferencesRefused     the repository is tuned in a way we do not support
        UnsupportedIndex       git's index is in a format that only git itself reads
      ConfigError              a setting has a value that is not allowed
      ContentError
        ContentMissing         the content of a key is not here
        VerificationFailed     content does not match its key
        ContentLocked          somebody uses or removes the content right now
        ContentChanged         a file changed while it was being read
      RefusedError             we could, but must not
        NotEnoughCopies  UnsafeKey  UnsafePath  NoSpace
      BusyError                somebody else holds what we need; trying again helps
        IndexLocked  LockTimeout  RefMoved
      RemoteError
        RemoteUnavailable      cannot be reached now
        RemoteRefused          reached, and said no for good
        RemoteProtocolError    spoke in a way we do not understand
      TransferError
        TransferFailed  TransferStalled  TransferInProgress  TransferCancelled
      MergeConflict            two histories changed the same path
      UserError                the command line asked for something that cannot be
      FatalError               the daemon cannot go on

Bugs stay plain Python errors and never become an AnnexError.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Retry(enum.Enum):
    """Whether the same action may work when tried again."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class AnnexError(Exception):
    """Base of all expected failures; `hint` says what the reader can do."""

    retry: Retry = Retry.NEVER

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class FormatError(AnnexError):
    """Bytes that do not follow the grammar of the thing they should be."""

    def __init__(self, message: str, *, source: str = "", offset: int | None = None, hint: str = "") -> None:
        place = f"{source}: " if source else ""
        where = f" at byte {offset}" if offset is not None else ""
        super().__init__(f"{place}{message}{where}", hint=hint)
        self.source = source
        self.offset = offset


class ProcessError(AnnexError):
    """A program that we started ended with a failure."""

    retry = Retry.LATER

    def __init__(self, argv: Sequence[str | bytes], returncode: int, stderr: bytes, *, hint: str = "") -> None:
        shown = " ".join(a.decode("utf-8", "backslashreplace") if isinstance(a, bytes) else a for a in argv)
        tail = stderr.decode("utf-8", "backslashreplace").strip()
        super().__init__(f"{shown} failed with status {returncode}" + (f": {tail}" if tail else ""), hint=hint)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr


class GitError(ProcessError):
    """A git command failed."""


class RepositoryError(AnnexError):
    """The repository is missing, damaged, or of a kind that we do not handle."""


class NotAnAnnex(RepositoryError):
    """A git repository that is not an annex."""


class DifferencesRefused(RepositoryError):
    """The repository, or a branch to be merged, is tuned in a way that does not fit."""


class UnsupportedIndex(RepositoryError):
    """git's index has a format or extension that is left to git itself."""


class ConfigError(AnnexError):
    """A setting whose value is not allowed; the message names the setting, the value and what is allowed."""


class ContentError(AnnexError):
    """Something is wrong with the content of a key or a file."""


class ContentMissing(ContentError):
    """The content of the key is not in this repository."""

    retry = Retry.LATER


class VerificationFailed(ContentError):
    """Content does not match its key."""


class ContentLocked(ContentError):
    """The content is in use, so it cannot be removed now."""

    retry = Retry.LATER


class ContentChanged(ContentError):
    """A file changed while it was being read."""

    retry = Retry.LATER


class RefusedError(AnnexError):
    """Possible, but not safe or not allowed."""


class NotEnoughCopies(RefusedError):
    """Dropping would leave fewer copies than numcopies or mincopies demand."""


class UnsafeKey(RefusedError):
    """A key whose file name could leave the directory it belongs in."""


class UnsafePath(RefusedError):
    """A path that leads out of the work tree or into the git directory."""


class NoSpace(RefusedError):
    """Storing this would use up the disk space that annex.diskreserve keeps free."""

    retry = Retry.LATER


class BusyError(AnnexError):
    """Somebody else holds what we need just now."""

    retry = Retry.LATER


class IndexLocked(BusyError):
    """Another git command holds the lock on git's index."""


class LockTimeout(BusyError):
    """A lock file was not free within the time allowed."""


class RefMoved(BusyError):
    """A ref changed between reading and updating it."""

    retry = Retry.NOW


class RemoteError(AnnexError):
    """Something went wrong with a remote."""


class RemoteUnavailable(RemoteError):
    """The remote cannot be reached now."""

    retry = Retry.LATER


class RemoteRefused(RemoteError):
    """The remote was reached and refused."""


class RemoteProtocolError(RemoteError):
    """The remote and we do not understand each other."""


class TransferError(AnnexError):
    """A content transfer did not succeed."""

    retry = Retry.LATER


class TransferFailed(TransferError):
    """The transfer was tried and failed."""


class TransferStalled(TransferError):
    """Too little moved for too long, by annex.stalldetection."""


class TransferInProgress(TransferError):
    """Another process transfers the same key already."""


class TransferCancelled(TransferError):
    """The transfer was stopped on request."""


class MergeConflict(AnnexError):
    """Two histories changed the same paths in ways that do not combine."""

    def __init__(self, message: str, paths: Sequence[bytes], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.paths = tuple(paths)


class UserError(AnnexError):
    """The command line asked for something that cannot be done."""


class FatalError(AnnexError):
    """The daemon cannot go on; it ends with `exit_status`."""

    def __init__(self, message: str, *, exit_status: int = 1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_status = exit_status
