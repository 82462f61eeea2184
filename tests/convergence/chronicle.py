"""What people wrote, replaced and deleted, and what of it must therefore be found in the end.

Everything that is written is unique, so it can be recognised wherever it turns up: a file of text is a set of lines
that nobody else writes, any other file one token, the hash of its content; a symlink's token is its target.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from annexd.formats.key import Key
from annexd.formats.pointer import parse_link, parse_pointer

Token = bytes
Tokens = frozenset[Token]

TEXT = b"text "         # how every line of a file of text begins
ALWAYS_KEPT = 190       # bytes of a name that stay in the names of all its variants
_VARIANT = re.compile(rb"(\.variant-|~).*", re.DOTALL)


class Claim(NamedTuple):
    """A token that was written at a path by an operation, and must be there in the end unless it was superseded."""

    token: Token
    path: bytes
    operation: str


class Chronicle:
    """Told by all sides, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self._claims: list[Claim] = []
        self._superseded: list[tuple[Token, bytes]] = []
        self._blind: list[bytes] = []
        self._contents: dict[bytes, Tokens] = {}
        self._above: dict[bytes, bytes] = {}        # of names that are the same file's, by renames
        self.log: list[str] = []

    # telling

    def note(self, side: str, operation: str, args: Iterable[object], result: str = "") -> None:
        """A line for the log of operations, which can be replayed."""
        at = round(time.monotonic() - self._begin, 4)
        line = {"at": at, "side": side, "do": operation, "args": [_text(arg) for arg in args], "result": result}
        with self._lock:
            self.log.append(json.dumps(line))

    def knows(self, data: bytes) -> None:
        """This content is about to be written: a key of it stands for its tokens."""
        with self._lock:
            self._contents[hashlib.sha256(data).hexdigest().encode()] = tokens_of(data)

    def wrote(self, path: bytes, new: Tokens, old: Tokens, operation: str) -> None:
        """`path` holds `new` now, in the place of `old`, which the writer's side had there."""
        with self._lock:
            self._claims += [Claim(token, path, operation) for token in new - old]
            self._superseded += [(token, path) for token in old - new]

    def renamed(self, source: bytes, target: bytes, replaced: Tokens = frozenset()) -> None:
        """What is at `source`, on any side, may from now on be found at `target`, and the reverse."""
        with self._lock:
            self._superseded += [(token, target) for token in replaced]
            first, second = self._top(_stem(source)), self._top(_stem(target))
            if first != second:
                self._above[first] = second

    def linked(self, source: bytes, target: bytes) -> None:
        """The file at `source` has `target` for a second name.

        Where the first name goes, by a person or because its versions became variants, git takes the second for its
        new name, and puts there what others wrote to the first.
        """
        self.renamed(source, target)

    def blind(self, path: bytes) -> None:
        """Something was replaced or removed at `path`, and it cannot be told what."""
        with self._lock:
            self._blind.append(path)

    # looking

    def tokens_at(self, place: bytes) -> Tokens:
        """What is at this path of the file system. Raises OSError; directories hold nothing."""
        status = os.lstat(place)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(place)
            key = parse_link(target)
            return self._of_key(key) if key is not None else frozenset((b"link " + target,))
        if not stat.S_ISREG(status.st_mode):
            return frozenset()
        fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            return self.tokens_in(fd)
        finally:
            os.close(fd)

    def tokens_in(self, fd: int) -> Tokens:
        """What an open file holds, or stands for."""
        data = os.pread(fd, os.fstat(fd).st_size + 1, 0)
        key = parse_pointer(data) if len(data) < 32768 else None
        return self._of_key(key) if key is not None else tokens_of(data)

    def tokens_in_blob(self, data: bytes) -> Tokens:
        """What a file that git has stands for, be it a link, a pointer or itself."""
        key = parse_pointer(data) or parse_link(data)
        return self._of_key(key) if key is not None else tokens_of(data)

    def _of_key(self, key: Key) -> Tokens:
        digest = key.name[:64]
        with self._lock:
            return self._contents.get(digest, frozenset((digest,)))

    # judging

    def faults(self, tree: Mapping[bytes, Tokens]) -> list[str]:
        """What is missing from the tree in which everything ended, one line for each."""
        with self._lock:
            places: dict[Token, set[bytes]] = {}
            for path, tokens in tree.items():
                for token in tokens:
                    places.setdefault(token, set()).add(path)
            superseded = {(token, self._top(_stem(path))) for token, path in self._superseded}
            blind = {self._top(_stem(path)) for path in self._blind}
            found = []
            for claim in self._claims:
                file = self._top(_stem(claim.path))
                at = places.get(claim.token, set())
                if (claim.token, file) in superseded or file in blind:
                    continue
                stems = {_stem(path) for path in at}
                names = {os.path.basename(stem) for stem in stems}      # its directory may have been renamed
                if file not in map(self._top, stems) and os.path.basename(_stem(claim.path)) not in names:
                    where = f"is only at {sorted(at)}" if at else "is gone"
                    found.append(f"{claim.operation}: {claim.token[:40]!r}, written at {claim.path!r}, {where}")
            return found

    def counts(self) -> str:
        """How much was claimed."""
        return f"{len(self._claims)} written, {len(self._superseded)} superseded, {len(self._blind)} blind"

    def _top(self, name: bytes) -> bytes:
        while name in self._above:
            name = self._above[name]
        return name


def tokens_of(data: bytes) -> Tokens:
    """The tokens of a file's content; none for an empty one."""
    if data.startswith(TEXT):
        return frozenset(line for line in data.split(b"\n") if line)
    return frozenset((hashlib.sha256(data).hexdigest().encode(),)) if data else frozenset()


def _stem(path: bytes) -> bytes:
    """What a path has in common with its variants, of git and of git-annex: `d.variant-9378.hid` is one of `d/.hid`.

    A variant that was made a directory says nothing of the names in it: `d.variant-9378/f.variant-12ab.txt` is one of
    `d.variant-9378/f.txt`, and who removes it supersedes what was written there. A name that leaves no room for the
    mark of a variant is cut for it, so what is beyond `ALWAYS_KEPT` bytes does not count.
    """
    *directories, name = (_VARIANT.sub(b"", part) if part.strip(b".") else part for part in path.split(b"/"))
    if b".variant-" not in path[path.rfind(b"/") + 1 :]:
        name = name[: name.rfind(b".")] if b"." in name else name
    name = b"" if name.startswith(b".") else name
    return b"/".join(part[:ALWAYS_KEPT] for part in (*directories, name)).rstrip(b"/.")


def _text(arg: object) -> object:
    return os.fsdecode(arg) if isinstance(arg, bytes) else arg
