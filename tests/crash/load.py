"""Somebody who works in a folder: writes, edits, renames and deletes files, and knows what must be there in the end."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

LARGE = (3 << 20) + 17      # bytes; more than what is moved in batches


class Person:
    """Works in a folder of their own below the top, so that two of them never want different things.

    `expected` is what must be there: path from the top -> content. Every file is completely written when a step ends.
    """

    def __init__(self, repo: Path, name: str, seed: int) -> None:
        self.repo = repo
        self.expected: dict[str, bytes] = {}
        self.name = name
        self._random = random.Random(f"{name}-{seed}")
        self._serial = 0

    def work(self, steps: int) -> None:
        """Do so many things."""
        acts = (
            self._write_new, self._write_new, self._burst, self._edit_in_place, self._append, self._replace,
            self._rename, self._rename_folder, self._delete, self._delete_folder, self._write_large, self._swap,
        )  # fmt: skip
        for _ in range(steps):
            self._random.choice(acts)()

    def put(self, path: str, data: bytes) -> None:
        """Write a file."""
        target = self.repo / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        self.expected[path] = data

    # what people do

    def _write_new(self) -> None:
        self.put(self._new_path(), self._content())

    def _burst(self) -> None:
        folder = f"{self.name}/burst-{self._next()}"
        for number in range(self._random.randrange(5, 40)):
            self.put(f"{folder}/{number}.dat", self._content())

    def _write_large(self) -> None:
        if self._random.random() < 0.3:
            self.put(self._new_path(), self._random.randbytes(LARGE))

    def _edit_in_place(self) -> None:
        if path := self._any():
            data = self._content()
            with (self.repo / path).open("r+b") as file:
                file.write(data)
                file.truncate()
            self.expected[path] = data

    def _append(self) -> None:
        if path := self._any():
            more = self._content()
            with (self.repo / path).open("ab") as file:
                file.write(more)
            self.expected[path] += more

    def _replace(self) -> None:
        """As editors save."""
        if path := self._any():
            data = self._content()
            temp = self.repo / (path + "~")
            temp.write_bytes(data)
            temp.rename(self.repo / path)
            self.expected[path] = data

    def _rename(self) -> None:
        if path := self._any():
            target = self._new_path()
            (self.repo / target).parent.mkdir(parents=True, exist_ok=True)
            (self.repo / path).rename(self.repo / target)
            self.expected[target] = self.expected.pop(path)

    def _swap(self) -> None:
        """Two files change their names."""
        first, second = self._any(), self._any()
        if first and second and first != second:
            aside = self.repo / f"{self.name}/aside"
            (self.repo / first).rename(aside)
            (self.repo / second).rename(self.repo / first)
            aside.rename(self.repo / second)
            self.expected[first], self.expected[second] = self.expected[second], self.expected[first]

    def _rename_folder(self) -> None:
        folders = sorted({path.rpartition("/")[0] for path in self.expected} - {self.name})
        if folders:
            old, new = self._random.choice(folders), f"{self.name}/moved-{self._next()}"
            (self.repo / old).rename(self.repo / new)
            for path in [path for path in self.expected if path.startswith(old + "/")]:
                self.expected[new + path[len(old) :]] = self.expected.pop(path)

    def _delete(self) -> None:
        if path := self._any():
            (self.repo / path).unlink()
            del self.expected[path]

    def _delete_folder(self) -> None:
        folders = sorted({path.rpartition("/")[0] for path in self.expected} - {self.name})
        if folders and self._random.random() < 0.4:
            folder = self._random.choice(folders)
            shutil.rmtree(self.repo / folder)
            for path in [path for path in self.expected if path.startswith(folder + "/")]:
                del self.expected[path]

    # with what

    def _content(self) -> bytes:
        if self._random.random() < 0.05:
            return b""
        return b"%s %d\n" % (self.name.encode(), self._next()) + self._random.randbytes(self._random.randrange(4096))

    def _any(self) -> str | None:
        return self._random.choice(sorted(self.expected)) if self.expected else None

    def _new_path(self) -> str:
        number = self._next()
        folder = self._random.choice(["", "docs/", "docs/deep/er/", f"new-{number}/"])
        return f"{self.name}/{folder}{number}.{self._random.choice(['txt', 'tar.gz', 'jpeg', 'x'])}"

    def _next(self) -> int:
        self._serial += 1
        return self._serial


def tree_of(repo: Path) -> dict[str, bytes]:
    """All files of the work tree with their content, through links into the annex."""
    found = {}
    for directory, folders, names in os.walk(repo):
        if ".git" in folders:
            folders.remove(".git")
        for name in names:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, repo)] = Path(path).read_bytes()
    return found
