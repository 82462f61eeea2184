"""Reading objects through one `git cat-file --batch` that stays up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from annexd.errors import GitError
from annexd.git.objects import GitObject, Oid
from annexd.git.repository import GitRepository

# Requests on their way at a time: together below 4 KiB, the least that a pipe holds, so that writing never blocks
# while git waits for us to read.
_WINDOW = 96


class CatFile:
    """Reads objects by name; git starts on first use. Owned by one thread."""

    def __init__(self, repo: GitRepository) -> None:
        self._process = repo.start(b"cat-file", b"--batch")
        self._repo = repo

    def read(self, oid: Oid) -> GitObject | None:
        """The object, or None when the repository has none of that name. Raises GitError."""
        self._process.write(oid.hex().encode() + b"\n")
        return self._answer()

    def read_name(self, name: bytes) -> GitObject | None:
        """An object by any name git knows (b"HEAD:path"), or None. Slower than `read` by a hundred times.

        Raises GitError.
        """
        if b"\n" in name:
            found = self._repo.complete(b"rev-parse", b"--verify", b"--quiet", b"--end-of-options", name)
            return None if found.returncode else self.read(Oid(bytes.fromhex(found.stdout.decode("ascii"))))
        self._process.write(name + b"\n")
        return self._answer()

    def read_many(self, oids: Iterable[Oid]) -> Iterator[GitObject | None]:
        """The objects in the order asked for, many requests under way at once. Exhaust it before another read."""
        requests = iter(oids)
        under_way = 0
        exhausted = False
        try:
            while True:
                if not exhausted and under_way <= _WINDOW // 2:
                    batch = [oid.hex() for oid in islice(requests, _WINDOW - under_way)]
                    exhausted = not batch
                    if batch:
                        self._process.write("\n".join(batch).encode() + b"\n")
                        under_way += len(batch)
                if not under_way:
                    return
                answer = self._answer()
                under_way -= 1
                yield answer
        finally:
            if under_way:  # left early: answers still to come would be taken for those of the next request
                self.close()

    def close(self) -> None:
        """End git; the next read starts it again."""
        self._process.close()

    def _answer(self) -> GitObject | None:
        header = self._process.read_line().split(b" ")
        if len(header) == 3 and header[2].isdigit():
            size = int(header[2])
            data = self._process.read_exactly(size + 1)
            return GitObject(header[1], data[:size])
        if header[-1] in (b"missing", b"ambiguous"):
            return None
        self.close()
        raise GitError((b"git", b"cat-file", b"--batch"), 0, b"unexpected answer: " + b" ".join(header))
