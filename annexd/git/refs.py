"""Refs: read from their files, changed by git with compare-and-swap.

Source: git, documentation of gitrepository-layout (refs, packed-refs), and of git-update-ref, "--stdin".
"""

from __future__ import annotations

import enum
import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from annexd.errors import BusyError, GitError, RefMoved, RepositoryError
from annexd.git.objects import ZERO, Oid
from annexd.git.process import GitProcess
from annexd.git.repository import GitRepository

_MAX_LINKS = 5
_MAX_PROCESSES = 3
_SAME_TIME = 0.5    # seconds for which a git process serves: all that it writes into reflogs has the time of its first
_PER_WORK_TREE = (b"refs/bisect/", b"refs/worktree/", b"refs/rewritten/")


class Expect(enum.Enum):
    """What an update may find in a ref besides a given object."""

    ANYTHING = "anything"


class RefUpdate(NamedTuple):
    """One ref's step. `new` None deletes it; `old` None means that it must not exist yet."""

    ref: bytes
    new: Oid | None
    old: Oid | Expect | None


class Head(NamedTuple):
    """What HEAD is: on a branch (`ref`, with `oid` None while it is unborn), or detached at `oid`."""

    ref: bytes | None
    oid: Oid | None

    @property
    def detached(self) -> bool:
        """Whether HEAD names a commit instead of a branch."""
        return self.ref is None


class _Stamped(NamedTuple):
    process: GitProcess
    since: float        # monotonic seconds


class Refs:
    """Refs of one repository. Reads go to the files each time; one owner thread.

    Updates go through a `git update-ref` that stays up (0.12 ms each), one for each reflog message in use.
    """

    def __init__(self, repo: GitRepository) -> None:
        self.repo = repo
        self._packed: dict[bytes, Oid] = {}
        self._packed_stamp: tuple[int, int, int] | None = None
        self._processes: OrderedDict[bytes, _Stamped] = OrderedDict()

    def read(self, ref: bytes) -> Oid | None:
        """The object a ref (b"refs/heads/master", b"HEAD") names, following symbolic refs; None when there is none.

        Raises RepositoryError when the ref is damaged.
        """
        if self.repo.ref_format != "files":
            found = self.repo.complete(b"rev-parse", b"--verify", b"--quiet", b"--end-of-options", ref)
            return None if found.returncode else _oid(ref, found.stdout.strip())
        for _ in range(_MAX_LINKS):
            text = self._loose(ref)
            if text is None:
                return self._packed_refs().get(ref)
            if not text.startswith(b"ref:"):
                return _oid(ref, text)
            ref = text[4:].strip()
        raise RepositoryError(f"too many symbolic refs from {os.fsdecode(ref)!r}")

    def head(self) -> Head:
        """Where HEAD is. Raises RepositoryError."""
        if self.repo.ref_format != "files":
            found = self.repo.complete(b"symbolic-ref", b"--quiet", b"HEAD")
            ref = None if found.returncode else found.stdout.strip()
            return Head(ref, self.read(b"HEAD"))
        text = self._loose(b"HEAD")
        if text is None:
            raise RepositoryError(f"{os.fsdecode(self.repo.git_dir)!r} has no HEAD")
        if text.startswith(b"ref:"):
            ref = text[4:].strip()
            return Head(ref, self.read(ref))
        return Head(None, _oid(b"HEAD", text))

    def list(self, prefix: bytes = b"refs/") -> dict[bytes, Oid]:
        """All refs whose name starts with `prefix`, symbolic ones resolved, in order of name; broken ones left out."""
        if self.repo.ref_format != "files":
            return self._list_by_git(prefix)
        # Loose ones first: a ref that git packs meanwhile is then seen in one place at least.
        loose = {ref: oid for ref in self._loose_names(prefix) if (oid := self.read(ref)) is not None}
        packed = {ref: oid for ref, oid in self._packed_refs().items() if ref.startswith(prefix)}
        return dict(sorted({**packed, **loose}.items()))

    def update(self, ref: bytes, new: Oid, old: Oid | Expect | None, message: bytes = b"annexd") -> None:
        """Point `ref` at `new` if it is at `old` now (None: if it does not exist). `message` goes into the reflog.

        Raises RefMoved when the ref is elsewhere, BusyError when another process holds its lock, else GitError.
        """
        self.update_many([RefUpdate(ref, new, old)], message)

    def delete(self, ref: bytes, old: Oid | Expect = Expect.ANYTHING) -> None:
        """Remove a ref if it is at `old`; same errors as `update`."""
        self.update_many([RefUpdate(ref, None, old)])

    def update_many(self, updates: Iterable[RefUpdate], message: bytes = b"annexd") -> None:
        """All the updates, or none of them: one transaction; same errors as `update`."""
        lines = [b"start\n", *map(_command, updates), b"prepare\ncommit\n"]
        process = self._process(message)
        try:
            process.write(b"".join(lines))
            for stage in (b"start: ok", b"prepare: ok", b"commit: ok"):
                answer = process.read_line()
                if answer != stage:
                    raise GitError((b"git", b"update-ref", b"--stdin"), 0, answer)
        except GitError as e:
            self._drop(message)
            raise _sorted_failure(e) from e

    def close(self) -> None:
        """End the git processes; a later update starts one again."""
        for stamped in self._processes.values():
            stamped.process.close()
        self._processes.clear()

    def _process(self, message: bytes) -> GitProcess:
        found = self._processes.get(message)
        now = time.monotonic()
        if found is not None and now - found.since > _SAME_TIME:
            self._drop(message)
            found = None
        if found is None:
            found = _Stamped(self.repo.start(b"update-ref", b"-m", message, b"--stdin"), now)
            self._processes[message] = found
            if len(self._processes) > _MAX_PROCESSES:
                self._processes.popitem(last=False)[1].process.close()
        self._processes.move_to_end(message)
        return found.process

    def _drop(self, message: bytes) -> None:
        stamped = self._processes.pop(message, None)
        if stamped is not None:
            stamped.process.close()

    def _loose_path(self, ref: bytes) -> bytes:
        shared = ref.startswith(b"refs/") and not ref.startswith(_PER_WORK_TREE)
        return os.path.join(self.repo.common_dir if shared else self.repo.git_dir, ref)

    def _loose(self, ref: bytes) -> bytes | None:
        try:
            fd = os.open(self._loose_path(ref), os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        try:
            return os.read(fd, 4096).rstrip()
        except IsADirectoryError:
            return None
        finally:
            os.close(fd)

    def _loose_names(self, prefix: bytes) -> Iterable[bytes]:
        start = prefix[: prefix.rindex(b"/")] if b"/" in prefix else b"refs"
        root = self.repo.common_dir
        for directory, _, names in os.walk(os.path.join(root, start)):
            base = directory[len(root) + 1 :]
            for name in names:
                ref = base + b"/" + name
                if ref.startswith(prefix) and not name.endswith(b".lock"):
                    yield ref

    def _packed_refs(self) -> dict[bytes, Oid]:
        path = os.path.join(self.repo.common_dir, b"packed-refs")
        try:
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
                if stamp != self._packed_stamp:
                    self._packed = _parse_packed(file.read())
                    self._packed_stamp = stamp
        except FileNotFoundError:
            self._packed, self._packed_stamp = {}, None
        return self._packed

    def _list_by_git(self, prefix: bytes) -> dict[bytes, Oid]:
        listing = self.repo.run(b"for-each-ref", b"--format=%(objectname) %(refname)")
        pairs = (line.split(b" ", 1) for line in listing.splitlines())
        return {ref: _oid(ref, name) for name, ref in pairs if ref.startswith(prefix)}


def _parse_packed(data: bytes) -> dict[bytes, Oid]:
    refs: dict[bytes, Oid] = {}
    for line in data.splitlines():
        if line[:1] not in (b"#", b"^", b""):
            name, _, ref = line.partition(b" ")
            refs[ref] = _oid(ref, name)
    return refs


def _oid(ref: bytes, text: bytes) -> Oid:
    try:
        oid = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        oid = b""
    if len(oid) not in (20, 32):
        raise RepositoryError(f"the ref {os.fsdecode(ref)!r} is damaged", hint="run git fsck")
    return Oid(oid)


def _command(update: RefUpdate) -> bytes:
    ref, new, old = update
    if b"\n" in ref or b" " in ref or b"\0" in ref:
        raise ValueError(f"{ref!r} is no ref name")
    nothing = bytes(len(new or ZERO))
    expected = b"" if isinstance(old, Expect) else b" " + (old or nothing).hex().encode()
    if new is None:
        return b"delete %b%b\n" % (ref, expected)
    return b"update %b %b%b\n" % (ref, new.hex().encode(), expected)


def _sorted_failure(error: GitError) -> Exception:
    text = error.stderr
    if b"but expected" in text or b"already exists" in text or b"unable to resolve reference" in text:
        return RefMoved(text.decode("utf-8", "backslashreplace").strip())
    if b"File exists" in text:
        return BusyError(text.decode("utf-8", "backslashreplace").strip())
    return error
