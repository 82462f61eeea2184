"""Adding several settings to a repository's config file at once: all of them, or none after a crash."""

from __future__ import annotations

import os
from collections.abc import Mapping

from annexd.errors import BusyError
from annexd.git.config_file import parse_config_file
from annexd.git.repository import GitRepository
from annexd.system.files import write_all

_ESCAPES = ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t"))


def add_settings(repo: GitRepository, settings: Mapping[bytes, bytes]) -> None:
    """Add those of the settings (b"section.name" or b"section.middle.name") that the file does not have so already.

    Takes git's own lock on the file. Raises BusyError when somebody else has it, OSError.
    """
    path = os.path.realpath(os.path.join(repo.common_dir, b"config"))
    lock = path + b".lock"
    try:
        fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError as problem:
        raise BusyError(f"{os.fsdecode(path)!r} is locked by another git command", hint="try again") from problem
    try:
        try:
            with open(path, "rb") as file:
                old = file.read()
                os.fchmod(fd, os.fstat(file.fileno()).st_mode & 0o777)
            new = with_settings(old, settings)
            write_all(fd, new)
            os.fsync(fd)
        finally:
            os.close(fd)
        if new == old:
            os.unlink(lock)
        else:
            os.rename(lock, path)
    except BaseException:
        if os.path.exists(lock):
            os.unlink(lock)
        raise


def with_settings(data: bytes, settings: Mapping[bytes, bytes]) -> bytes:
    """The file's content with the settings added at its end, grouped by section in the order given."""
    have = dict(parse_config_file(data))
    sections: dict[bytes, list[bytes]] = {}
    for name, value in settings.items():
        if have.get(name) != value:
            section, _, last = name.rpartition(b".")
            sections.setdefault(section, []).append(b"\t%b = %b\n" % (last, _quoted(value)))
    if not sections:
        return data
    start = data if not data or data.endswith(b"\n") else data + b"\n"
    return start + b"".join([_header(section) + b"".join(lines) for section, lines in sections.items()])


def _header(section: bytes) -> bytes:
    first, dot, middle = section.partition(b".")
    if not dot:
        return b"[%b]\n" % first
    return b'[%b "%b"]\n' % (first, middle.replace(b"\\", b"\\\\").replace(b'"', b'\\"'))


def _quoted(value: bytes) -> bytes:
    escaped = value
    for plain, spelled in _ESCAPES:
        escaped = escaped.replace(plain, spelled)
    needs_quotes = value != value.strip() or any(mark in value for mark in (b"#", b";"))
    return b'"%b"' % escaped if needs_quotes else escaped
