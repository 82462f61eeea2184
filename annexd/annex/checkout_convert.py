"""Files that git has to write, as its settings or attributes have it change them on their way into the work tree.

Line ends, encodings, `ident` and other people's filters are git's own business: where any of that may apply, git checks
the file out into a scratch directory. Nearly always none of it does, which a look at the few attribute files tells.
Source: git, gitattributes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from annexd.annex.checkout_plan import Blobs
from annexd.annex.objects import PART
from annexd.annex.state import AnnexState
from annexd.annex.work_entries import GITLINK_MODE, LINK_MODE
from annexd.errors import RepositoryError
from annexd.formats.paths import display
from annexd.git.index import GitIndex, IndexEntry
from annexd.git.tree import Blob
from annexd.system.files import make_dirs, write_atomically

ATTRIBUTES = b".gitattributes"
SYSTEM_ATTRIBUTES = b"/etc/gitattributes"
OUR_FILTER = b"annex"
_MOST = 1 << 20     # bytes of an attribute file that are looked at; git ignores larger ones too
_NO_FILTER = frozenset((OUR_FILTER, b"unspecified", b"unset", b"set"))


class Conversions:
    """Knows which files git has to write, and has it write them. For one checkout; `close` removes what is left over.

    `coming` are the files that the new tree has where it differs from the old one.
    """

    def __init__(self, state: AnnexState, blobs: Blobs, index: GitIndex, coming: Mapping[bytes, Blob | None]) -> None:
        self._state = state
        self._blobs = blobs
        self._index = index
        self._coming = coming
        self._places: list[bytes] = []

    def written_by_git(self, files: Mapping[bytes, Blob]) -> dict[bytes, bytes]:
        """Those of the files that git changes on checkout, with the place where each lies as it has to be.

        Raises GitError, RepositoryError when git could not write one; OSError.
        """
        files = {path: blob for path, blob in files.items() if blob[0] not in (LINK_MODE, GITLINK_MODE)}
        if not files:
            return {}
        attributes = self._attributes_in_trees(files)
        converts, has_foreign = self._effect_of(attributes.values())
        wanted = [path for path, blob in files.items() if converts and self._blobs.key(blob) is None]
        annexed = [path for path, blob in files.items() if has_foreign and self._blobs.key(blob) is not None]
        if not wanted and not annexed:
            return {}
        return self._check_out(files, wanted, annexed, attributes)

    def holds(self, path: bytes, blob: Blob) -> bool:
        """Whether the file is what git makes of this blob when it checks it out, where it changes anything at all.

        To be asked about a file that is not the blob itself, and not annexed. Starts git. Raises GitError.
        """
        converts, _ = self._effect_of(self._attributes_in_trees([path]).values())
        if not converts or b"\n" in path:
            return False
        found = self._state.repo.run(b"hash-object", b"--stdin-paths", stdin=path + b"\n", check=False)
        return found.strip() == blob[1].hex().encode()

    def _effect_of(self, texts: Iterable[bytes]) -> tuple[bool, bool]:
        """Whether git changes files on checkout, and whether it has filters for that, with these attribute files."""
        texts = [*self._attributes_elsewhere(), *texts]
        has_foreign = any(map(_has_foreign_filter, texts))
        return has_foreign or self._state.config.converts_line_ends or any(map(_converts, texts)), has_foreign

    def close(self) -> None:
        """Remove what nobody has taken."""
        for place in self._places:
            shutil.rmtree(place, ignore_errors=True)

    def _check_out(
        self,
        files: Mapping[bytes, Blob],
        wanted: list[bytes],
        annexed: Sequence[bytes],
        attributes: Mapping[bytes, bytes],
    ) -> dict[bytes, bytes]:
        """Those of the annexed ones that have a foreign filter are wanted too."""
        place = self._state.store.temp_path() + PART     # after a crash nobody misses it
        self._places.append(place)
        make_dirs(place, self._state.layout.annex_dir)
        self._state.objects.flush()     # git has to find them
        index = place + b"/.index"
        self._write_index(index, files, attributes)
        repo = self._state.repo.with_index(index)
        if annexed:
            answer = repo.run(b"check-attr", b"-z", b"--cached", b"--stdin", b"filter", stdin=_lines(annexed))
            words = answer.split(b"\0")
            values = zip(words[::3], words[2::3], strict=False)
            wanted = wanted + [path for path, value in values if value not in _NO_FILTER]
        if not wanted:
            return {}
        repo.run(b"checkout-index", b"-z", b"--stdin", b"--prefix=%b/" % place, stdin=_lines(wanted))
        found = {path: place + b"/" + path for path in wanted}
        for path, written in found.items():
            if not os.path.isfile(written):
                raise RepositoryError(f"git could not write {display(path)}", hint="see its filter attribute")
        return found

    def _write_index(self, place: bytes, files: Mapping[bytes, Blob], attributes: Mapping[bytes, bytes]) -> None:
        """An index with the files, and the attribute files that hold for them as the new tree has them."""
        index = GitIndex()
        for path in attributes:
            blob = self._blob_of(path)
            if blob is not None:
                index.set(IndexEntry(path, *blob))
        for path, (mode, oid) in files.items():
            index.set(IndexEntry(path, mode, oid))
        write_atomically(place, index.serialise())

    def _attributes_in_trees(self, files: Iterable[bytes]) -> dict[bytes, bytes]:
        """The attribute files in the directories of these files and above, as the new tree has them or else as they
        lie about.
        """
        found: dict[bytes, bytes] = {}
        seen: set[bytes] = set()
        for path in files:
            while path and (path := path[: max(path.rfind(b"/"), 0)]) not in seen:
                seen.add(path)
                name = path + b"/" + ATTRIBUTES if path else ATTRIBUTES
                blob = self._blob_of(name)
                data = _read(self._state.repo.top + b"/" + name) if blob is None else self._blobs.data(blob[1])
                if data or blob is not None:
                    found[name] = data
        return found

    def _blob_of(self, path: bytes) -> Blob | None:
        if path in self._coming:
            return self._coming[path]
        entry = self._index.get(path)
        return None if entry is None else (entry.mode, entry.oid)

    def _attributes_elsewhere(self) -> list[bytes]:
        own = self._state.config.attributes_file
        if own is None:
            base = os.environb.get(b"XDG_CONFIG_HOME") or os.environb.get(b"HOME", b"") + b"/.config"
            own = base + b"/git/attributes"
        return [_read(SYSTEM_ATTRIBUTES), _read(os.path.expanduser(own)), _read(self._state.layout.info_attributes)]


def _read(path: bytes) -> bytes:
    with suppress(OSError), open(path, "rb") as file:
        return file.read(_MOST)
    return b""


def _lines(paths: Iterable[bytes]) -> bytes:
    return b"".join(path + b"\0" for path in paths)


def _words(text: bytes) -> Iterable[bytes]:
    """The attributes that an attribute file names, without their patterns."""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith(b'"'):
            line = line[line.rfind(b'"') :]
        if not line.startswith(b"#"):
            yield from line.split()[1:]


def _converts(text: bytes) -> bool:
    """Whether an attribute file has git change files on checkout, on a system where lines end as git keeps them."""
    return any(
        word in (b"ident", b"eol=crlf") or word.startswith(b"working-tree-encoding=") for word in _words(text)
    )


def _has_foreign_filter(text: bytes) -> bool:
    return any(word.startswith(b"filter=") and word != b"filter=" + OUR_FILTER for word in _words(text))
