"""Somebody who does things in a work tree at random, and tells the chronicle exactly what each of them replaced."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from annexd.system.rename import exchange, rename_new
from tests.convergence.chronicle import TEXT, Chronicle, Tokens, tokens_of

LARGEST = 3 << 20
LONGEST_LOOK = 0.002    # seconds between looking at a file and replacing it, after which we may have replaced another
ENOUGH_FILES = 60       # from here on more is deleted than made
FOLDERS = (b"", b"", b"d", b"d", b"d/sub", b"e.dir", b" f f ", b"new\nline")
NAMES = (
    b"one.dat", b"two.dat", b"three.tar.gz", b"noext", b"four.txt", b"five.txt", b"six.txt", b".hidden", b".dot.conf",
    b"inv\xff\xfealid.dat", b"line\nbreak.dat", b"  blanks  .txt", b"-dash", b"*star?[x].dat", b"L" * 251 + b".dat",
    b"\xc3\xa4uml.jpeg", b"sub", b"d", b".hid/five.txt", b".hid/x",
)  # fmt: skip
# git-annex adds no others in a UTF-8 locale, leaves conflicts of what is in git to the person, and can neither
# add a file nor end a merge with a conflict in it where the name leaves no room for what it puts behind it
NAMES_FOR_GIT_ANNEX = tuple(name for name in NAMES if b"\xff" not in name and not name.startswith(b".")
                            and not name.endswith(b".txt") and len(name) < 200)  # fmt: skip
# nor does git-annex see to mode bits: `add` stages an unlocked file without its x bit, `sync` with it, by turns
NOT_WITH_GIT_ANNEX = ("symlink", "empty", "edit", "chmod")
WEIGHTS = {
    "create": 8, "large": 1, "empty": 1, "overwrite": 6, "slow_overwrite": 1, "append": 4, "edit": 8, "save": 6,
    "delete": 5, "rename": 5, "rename_folder": 2, "remove_tree": 1, "chmod": 2, "symlink": 2, "file_to_folder": 1,
    "folder_to_file": 1, "lock": 1, "unlock": 1, "git_mv": 1, "touch": 1, "hard_link": 1,
}  # fmt: skip


class Skip(Exception):
    """What was to be done cannot be done just now."""


class Person:
    """One side's. `only` is a folder of their own, when people are not to get into each other's way."""

    def __init__(
        self, repo: Path, side: str, seed: int, chronicle: Chronicle, env: Mapping[str, str],
        *, only: bytes | None = None, names: Sequence[bytes] = NAMES, without: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.side = side
        self._top = os.fsencode(repo)
        self._trash = os.fsencode(repo.with_name(repo.name + ".trash"))
        os.makedirs(self._trash, exist_ok=True)
        self._seed = seed
        self._random = random.Random(f"{seed} {side}")
        self._chronicle = chronicle
        self._env = dict(env)
        self._only = only
        self._names = names
        self._weights = {name: weight for name, weight in WEIGHTS.items() if name not in without}
        self._serial = 0
        self._trashed = 0

    def step(self) -> None:
        """One random thing."""
        name = self._random.choices(list(self._weights), list(self._weights.values()))[0]
        if name in ("create", "large", "hard_link") and len(self._files()) > ENOUGH_FILES:
            name = self._random.choice(("delete", "delete", "remove_tree"))
        args = self._choose(name)
        if args is not None:
            self.do(name, args)

    def do(self, name: str, args: Sequence[object]) -> None:
        """This thing; what cannot be done is skipped. Also for replaying a log."""
        try:
            getattr(self, "_do_" + name)(*args)
            result = "ok"
        except (Skip, OSError) as error:
            result = f"skipped: {error}"
        self._chronicle.note(self.side, name, args, result)

    # choosing

    def _choose(self, name: str) -> tuple[object, ...] | None:
        self._serial += 1
        pick = self._random
        match name:
            case "create" | "large" | "empty" | "symlink":
                return (self._new_path(), self._serial)
            case "overwrite" | "slow_overwrite" | "append" | "edit" | "save" | "file_to_folder":
                path = self._any(lambda p: name != "edit" or _is_text(p))
                return None if path is None else (path, self._serial, pick.random() < 0.5)
            case "delete" | "touch" | "lock" | "unlock":
                path = self._any()
                return None if path is None else (path,)
            case "chmod":
                path = self._any()
                return None if path is None else (path, pick.random() < 0.6)
            case "rename" | "git_mv" | "hard_link":
                path = self._any()
                return None if path is None else (path, self._same_kind(path))
            case _:
                folders = self._folders()
                folder = pick.choice(folders) if folders else None
                if folder is None:
                    return None
                if name == "rename_folder":
                    return (folder, self._in_own(b"moved-%b-%d" % (self.side.encode(), self._serial)))
                return (folder,) if name == "remove_tree" else (folder, self._serial)

    def _in_own(self, path: bytes) -> bytes:
        return path if self._only is None else self._only + b"/" + path

    def _new_path(self) -> bytes:
        folder = self._random.choice([*FOLDERS, *self._folders_below()])
        name = self._random.choice(self._names)
        if self._random.random() < 0.3:
            name = b"n%d-%b" % (self._serial, name[-200:])
        return self._in_own(folder + b"/" + name if folder else name)

    def _same_kind(self, path: bytes) -> bytes:
        """A new name in the same treatment: what git keeps stays with git."""
        while True:
            target = self._new_path()
            if _is_text(target) == _is_text(path):
                return target

    def _any(self, fits: Callable[[bytes], bool] = lambda _: True) -> bytes | None:
        found = [path for path in self._files() if fits(path)]
        return self._random.choice(found) if found else None

    def _files(self) -> list[bytes]:
        return sorted(path for path in walk(self._top) if self._only is None or path.startswith(self._only + b"/"))

    def _folders(self) -> list[bytes]:
        above = {path[: path.rfind(b"/")] for path in self._files() if b"/" in path}
        return sorted(above - {self._only, b""})

    def _folders_below(self) -> list[bytes]:
        start = 0 if self._only is None else len(self._only) + 1
        return [folder[start:] for folder in self._folders()]

    # making content

    def _content(self, path: bytes, serial: int, size: int | None = None) -> bytes:
        """Depends on nothing but seed, side and serial."""
        own = random.Random(f"{self._seed} {self.side} {serial}")
        if _is_text(path):
            data = b"".join(self._line(serial, number) for number in range(own.randrange(3, 12)))
        else:
            length = size if size is not None else own.choice((10, 100, 1000, 20000))
            data = b"bin\0%b %d " % (self.side.encode(), serial) + own.randbytes(length)
        self._chronicle.knows(data)
        return data

    def _line(self, serial: int, number: int) -> bytes:
        own = random.Random(f"{self._seed} {self.side} {serial} {number}")
        return TEXT + b"%b %d.%d %b\n" % (self.side.encode(), serial, number, own.randbytes(6).hex().encode())

    def _edited(self, path: bytes, data: bytes, serial: int) -> bytes:
        """One line inserted, replaced or removed."""
        if not data.startswith(TEXT):
            raise Skip("no text")
        own = random.Random(f"{self._seed} {self.side} {serial}")
        lines = data.splitlines(keepends=True)
        at = own.randrange(len(lines))
        lines[at : at + own.choice((0, 0, 1))] = [self._line(serial, 0)] if own.random() < 0.9 else []
        return b"".join(lines) or self._line(serial, 1)

    # doing

    def _at(self, path: bytes) -> bytes:
        return self._top + b"/" + path

    def _say(self, name: str, path: bytes) -> str:
        return f"{self.side} {name} {self._serial} {path[:40]!r}"

    def _parents(self, path: bytes) -> None:
        os.makedirs(os.path.dirname(self._at(path)), exist_ok=True)

    def _do_create(self, path: bytes, serial: int, size: int | None = None) -> None:
        self._parents(path)
        data = self._content(path, serial, size)
        fd = os.open(self._at(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        self._chronicle.wrote(path, tokens_of(data), frozenset(), self._say("create", path))

    def _do_large(self, path: bytes, serial: int) -> None:
        if _is_text(path):
            raise Skip("text is small")
        self._do_create(path, serial, random.Random(serial).randrange(1 << 20, LARGEST))

    def _do_empty(self, path: bytes, serial: int) -> None:
        self._parents(path)
        os.close(os.open(self._at(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))

    def _do_overwrite(self, path: bytes, serial: int, whole: bool, pause: float = 0.0) -> None:
        """In place. The file is the one that was opened, whatever takes its name meanwhile: that must be nothing."""
        fd = self._open_in_place(path)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            old = self._chronicle.tokens_in(fd)
            data = self._content(path, serial)
            if whole:
                file.truncate(0)
            file.write(data[: len(data) // 2])
            time.sleep(pause)
            file.write(data[len(data) // 2 :])
            file.truncate(len(data))
        self._chronicle.wrote(path, tokens_of(data), old, self._say("overwrite", path))

    def _do_slow_overwrite(self, path: bytes, serial: int, whole: bool) -> None:
        self._do_overwrite(path, serial, whole, random.Random(serial).uniform(0.05, 0.5))

    def _do_append(self, path: bytes, serial: int, whole: bool) -> None:
        fd = self._open_in_place(path)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            old, before = self._chronicle.tokens_in(fd), os.pread(fd, os.fstat(fd).st_size, 0)
            if _is_pointer(before):
                raise Skip("its content is not here")
            data = before + (self._line(serial, 0) if before.startswith(TEXT) else self._content(b"x", serial))
            self._chronicle.knows(data)
            file.seek(0, os.SEEK_END)
            file.write(data[len(before) :])
        self._chronicle.wrote(path, tokens_of(data), old, self._say("append", path))

    def _do_edit(self, path: bytes, serial: int, whole: bool) -> None:
        """A line of a text, in place or as editors save."""
        if not whole:
            data = self._edited(path, self._read(path), serial)
            self._chronicle.knows(data)
            self._replace(path, data, "edit", exact=True)
            return
        fd = self._open_in_place(path)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            old, before = self._chronicle.tokens_in(fd), os.pread(fd, os.fstat(fd).st_size, 0)
            data = self._edited(path, before, serial)
            self._chronicle.knows(data)
            file.write(data)
            file.truncate(len(data))
        self._chronicle.wrote(path, tokens_of(data), old, self._say("edit", path))

    def _do_save(self, path: bytes, serial: int, whole: bool) -> None:
        self._replace(path, self._content(path, serial), "save", exact=whole)

    def _replace(self, path: bytes, data: bytes, what: str, *, exact: bool) -> None:
        """As editors save: a new file takes the name."""
        place, temp = self._at(path), os.path.join(os.path.dirname(self._at(path)), b"temp%d~" % self._serial)
        Path(os.fsdecode(temp)).write_bytes(data)
        try:
            if exact:
                exchange(temp, place)
                old = self._chronicle.tokens_at(temp)
            else:
                begin, old = time.monotonic(), self._look(place)
                os.rename(temp, place)
                self._watch_out(path, begin)
        finally:
            _unlink(temp)
        self._chronicle.wrote(path, tokens_of(data), old, self._say(what, path))

    def _do_delete(self, path: bytes) -> None:
        if self._random.random() < 0.5:
            begin, old = time.monotonic(), self._look(self._at(path))
            os.unlink(self._at(path))
            self._watch_out(path, begin)
        else:
            old = self._throw_away(self._at(path))
        self._chronicle.wrote(path, frozenset(), old, self._say("delete", path))

    def _throw_away(self, place: bytes) -> Tokens:
        """Into the wastebasket; what that was."""
        if stat.S_ISDIR(os.lstat(place).st_mode):
            raise Skip("a folder")
        self._trashed += 1
        aside = self._trash + b"/%d" % self._trashed
        os.rename(place, aside)
        return self._chronicle.tokens_at(aside)

    def _do_rename(self, path: bytes, target: bytes) -> None:
        self._parents(target)
        source, place = self._at(path), self._at(target)
        if stat.S_ISDIR(os.lstat(source).st_mode):
            raise Skip("a folder")
        if os.path.isdir(place) and not os.path.islink(place):
            raise Skip("a folder is there")
        replaced = self._throw_away(place) if os.path.lexists(place) else frozenset()
        if replaced:
            self._chronicle.wrote(target, frozenset(), replaced, self._say("rename", path))
        self._chronicle.renamed(path, target)
        rename_new(source, place)

    def _do_git_mv(self, path: bytes, target: bytes) -> None:
        self._parents(target)
        self._chronicle.renamed(path, target)
        self._run("git", "mv", "--", path, target)
        if os.path.isdir(self._at(target)):     # then it went into that
            self._chronicle.renamed(path, target + b"/" + os.path.basename(path))

    def _do_rename_folder(self, folder: bytes, target: bytes) -> None:
        rename_new(self._at(folder), self._at(target))
        self._chronicle.renamed(folder, target)
        for path in walk(self._at(target)):
            self._chronicle.renamed(folder + b"/" + path, target + b"/" + path)

    def _do_remove_tree(self, folder: bytes) -> None:
        """As `rm -r`, or into the wastebasket in one go."""
        if self._random.random() < 0.5:
            self._trashed += 1
            aside = self._trash + b"/%d" % self._trashed
            os.rename(self._at(folder), aside)
            for path in walk(aside):
                gone = self._chronicle.tokens_at(aside + b"/" + path)
                self._chronicle.wrote(folder + b"/" + path, frozenset(), gone, "")
            return
        for base, folders, names in os.walk(self._at(folder), topdown=False):
            links = [name for name in folders if os.path.islink(base + b"/" + name)]
            for name in (*names, *links):
                place = base + b"/" + name
                old = self._throw_away(place)
                self._chronicle.wrote(place[len(self._top) + 1 :], frozenset(), old, "")
            os.rmdir(base)

    def _do_chmod(self, path: bytes, executable: bool) -> None:
        fd = os.open(self._at(path), os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(fd, 0o755 if executable else 0o644)
        finally:
            os.close(fd)

    def _do_symlink(self, path: bytes, serial: int) -> None:
        self._parents(path)
        target = b"../somewhere/%b-%d" % (self.side.encode(), serial)
        os.symlink(target, self._at(path))
        self._chronicle.wrote(path, frozenset((b"link " + target,)), frozenset(), self._say("symlink", path))

    def _do_file_to_folder(self, path: bytes, serial: int, whole: bool) -> None:
        old = self._throw_away(self._at(path))
        self._chronicle.wrote(path, frozenset(), old, "")
        os.mkdir(self._at(path))
        self._do_create(path + (b"/inner.dat" if whole or "edit" not in self._weights else b"/inner.txt"), serial)

    def _do_folder_to_file(self, folder: bytes, serial: int) -> None:
        self._do_remove_tree(folder)
        self._do_create(folder, serial)

    def _do_touch(self, path: bytes) -> None:
        os.utime(self._at(path), follow_symlinks=False)

    def _do_hard_link(self, path: bytes, target: bytes) -> None:
        self._parents(target)
        if not stat.S_ISREG(os.lstat(self._at(path)).st_mode):
            raise Skip("no regular file")
        self._chronicle.linked(path, target)
        os.link(self._at(path), self._at(target), follow_symlinks=False)
        tokens = self._chronicle.tokens_at(self._at(target))
        self._chronicle.wrote(target, tokens, frozenset(), self._say("hard link", target))

    def _do_lock(self, path: bytes) -> None:
        self._run(sys.executable, "-m", "annexd", "lock", path)

    def _do_unlock(self, path: bytes) -> None:
        self._run(sys.executable, "-m", "annexd", "unlock", path)

    # parts

    def _run(self, *argv: str | bytes) -> None:
        done = subprocess.run(argv, cwd=self._top, env=self._env, capture_output=True, timeout=60)
        if done.returncode:
            raise Skip(done.stderr.decode(errors="backslashreplace")[-200:])

    def _read(self, path: bytes) -> bytes:
        fd = os.open(self._at(path), os.O_RDONLY | os.O_NOFOLLOW)
        try:
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)

    def _look(self, place: bytes) -> Tokens:
        if stat.S_ISDIR(os.lstat(place).st_mode):
            raise Skip("a folder")
        return self._chronicle.tokens_at(place)

    def _watch_out(self, path: bytes, begin: float) -> None:
        """Looking and replacing are two steps: what came between them is not known."""
        if time.monotonic() - begin > LONGEST_LOOK:
            self._chronicle.blind(path)

    def _open_in_place(self, path: bytes) -> int:
        fd = os.open(self._at(path), os.O_RDWR | os.O_NOFOLLOW)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            os.close(fd)
            raise Skip("not this file's only name")
        return fd


def walk(top: bytes) -> list[bytes]:
    """All that is not a directory below `top`, relative to it, but for .git."""
    found = []
    for base, folders, names in os.walk(top):
        if b".git" in folders:
            folders.remove(b".git")
        links = [name for name in folders if os.path.islink(base + b"/" + name)]
        found += [(base + b"/" + name)[len(top) + 1 :] for name in (*names, *links)]
    return found


def _is_text(path: bytes) -> bool:
    """What these repositories keep in git: texts, and dot files, which in git-annex's eyes are configuration."""
    name = path.rpartition(b"/")[2]
    return name.endswith((b".txt", b"~")) or any(part.startswith(b".") for part in path.split(b"/"))


def _is_pointer(data: bytes) -> bool:
    return data.startswith(b"/annex/objects/")


def _unlink(place: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(place)
