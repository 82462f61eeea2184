"""What goes to and comes from those who write the files of a work tree: plain values, as they go through pipes."""

from __future__ import annotations

from typing import NamedTuple

from annexd.annex.layout import RepoLayout

Result = tuple[int, bytes | tuple[int, str] | None]
"""What became of an item (see `checkout_worker`): with the packed stat of a work tree's file, or errno and text."""

MIXED, LOWER = 0, 1


class Site(NamedTuple):
    """Where files are written, and where the content of keys lies: `styles` of hash directories in order of trial."""

    top: bytes
    objects: bytes
    levels: int
    styles: tuple[int, ...]
    umask: int

    @classmethod
    def of(cls, layout: RepoLayout, top: bytes, umask: int) -> Site:
        """The site of a repository."""
        styles = (LOWER,) if layout.lower_only else (LOWER, MIXED) if layout.lower_first else (MIXED, LOWER)
        return cls(top, layout.objects_dir, layout.levels, styles, umask)


class Item(NamedTuple):
    """One file. `target` is relative to the top, or absolute: a temporary file that the main process puts in place.

    `data` is what to write, for a key only if its content is not here: `key` and `name` are the key and its file name
    (b"" when there is none), `size` the bytes that its content has to have, -1 if it may have any number.
    """

    target: bytes
    executable: bool
    data: bytes
    key: bytes = b""
    name: bytes = b""
    size: int = -1
    thin: bool = False
