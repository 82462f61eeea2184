"""Commit objects and the identity they are made under.

Source: git, "Git Objects" in its user manual, and documentation of git-commit-tree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from annexd.errors import ConfigError, FormatError
from annexd.git.objects import Oid
from annexd.git.repository import GitRepository


class Signature(NamedTuple):
    """Who did something, when. `who` is b"Name <address>", `time` seconds since the epoch, `zone` b"+0100"."""

    who: bytes
    time: int
    zone: bytes

    def __bytes__(self) -> bytes:
        return b"%b %d %b" % self

    @classmethod
    def parse(cls, data: bytes) -> Signature:
        """From a commit's author or committer line. Raises FormatError."""
        parts = data.rsplit(b" ", 2)
        try:
            return cls(parts[0], int(parts[1]), parts[2])
        except (IndexError, ValueError) as e:
            raise FormatError("unreadable author or committer", source="commit") from e


class Identity(NamedTuple):
    """Author and committer, as b"Name <address>"; git's settings and environment decide them."""

    author: bytes
    committer: bytes

    def signatures(self, now: int | None = None) -> tuple[Signature, Signature]:
        """Both at `now` (seconds since the epoch; default: the clock) in the local time zone."""
        seconds = int(time.time()) if now is None else now
        zone = local_zone(seconds)
        return Signature(self.author, seconds, zone), Signature(self.committer, seconds, zone)


class Commit(NamedTuple):
    """A parsed commit. `extra` holds further header lines as they are, such as a signature."""

    tree: Oid
    parents: tuple[Oid, ...]
    author: Signature
    committer: Signature
    message: bytes
    extra: bytes = b""


def read_identity(repo: GitRepository) -> Identity:
    """Ask git who commits here; two processes, so keep the answer. Raises ConfigError when git does not know."""
    people = []
    for variable in (b"GIT_AUTHOR_IDENT", b"GIT_COMMITTER_IDENT"):
        found = repo.complete(b"var", variable)
        if found.returncode:
            raise ConfigError(
                f"git does not know who you are in {os.fsdecode(repo.top)!r}",
                hint="set user.name and user.email with git config",
            )
        people.append(Signature.parse(found.stdout.rstrip(b"\n")).who)
    return Identity(people[0], people[1])


def local_zone(seconds: int) -> bytes:
    """Offset of local time from UTC at a moment, as git writes it: b"+0100"."""
    minutes = time.localtime(seconds).tm_gmtoff // 60
    sign = b"-" if minutes < 0 else b"+"
    return b"%b%02d%02d" % (sign, abs(minutes) // 60, abs(minutes) % 60)


def build_commit(
    tree: Oid, parents: Sequence[Oid], author: Signature, committer: Signature, message: bytes
) -> bytes:
    """Content of a commit object. The message gets the final newline that git gives it, and loses NULs."""
    if not message.endswith(b"\n"):
        message += b"\n"
    lines = [b"tree " + tree.hex().encode()]
    lines += [b"parent " + parent.hex().encode() for parent in parents]
    lines += [b"author " + bytes(author), b"committer " + bytes(committer)]
    return b"\n".join(lines) + b"\n\n" + message.replace(b"\0", b"")


def commit_by_git(
    repo: GitRepository, tree: Oid, parents: Sequence[Oid], message: bytes, *, sign: bool
) -> Oid:
    """Have git write a commit, signed as its settings say if `sign`. All that it names must be in the repository.

    May wait for a person to type a passphrase. Raises GitError.
    """
    args = [arg for parent in parents for arg in (b"-p", parent.hex().encode())]
    if sign:
        args.append(b"-S")
    if not message.endswith(b"\n"):
        message += b"\n"
    out = repo.run(b"commit-tree", *args, tree.hex().encode(), stdin=message.replace(b"\0", b""))
    return Oid(bytes.fromhex(out.decode("ascii").strip()))


def parse_commit(data: bytes) -> Commit:
    """Raises FormatError."""
    header, _, message = data.partition(b"\n\n")
    fields: dict[bytes, bytes] = {}
    parents: list[Oid] = []
    extra: list[bytes] = []
    for line in header.split(b"\n"):
        name, _, value = line.partition(b" ")
        if name == b"parent":
            parents.append(_oid(value))
        elif name in (b"tree", b"author", b"committer") and name not in fields:
            fields[name] = value
        else:
            extra.append(line)
    try:
        return Commit(
            _oid(fields[b"tree"]),
            tuple(parents),
            Signature.parse(fields[b"author"]),
            Signature.parse(fields[b"committer"]),
            message,
            b"\n".join(extra),
        )
    except KeyError as e:
        raise FormatError(f"no {e.args[0].decode()} line", source="commit") from e


def _oid(text: bytes) -> Oid:
    try:
        oid = bytes.fromhex(text.decode("ascii"))
    except ValueError as e:
        raise FormatError("unreadable object name", source="commit") from e
    return Oid(oid)
