"""Small histories that conflict, made straight in the object store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from annexd.annex.state import AnnexState
from annexd.formats.key import Key
from annexd.formats.pointer import link_target, parse_link, parse_pointer, pointer_for
from annexd.git.commit import Signature, build_commit
from annexd.git.history import read_commit
from annexd.git.objects import BLOB, COMMIT, EMPTY_TREE, TREE, Oid
from annexd.git.tree import MODE_EXECUTABLE, MODE_FILE, MODE_GITLINK, MODE_LINK, Blob, Trees

Shape = tuple[str, str]
"""How a file is kept ("locked", "unlocked", "unlocked+x", "git", "git+x", "symlink", "submodule"), and its content."""

Files = Mapping[str, Shape]

SUBMODULE = Oid(bytes.fromhex("1234567890" * 4))
WHEN = 1_700_000_000


def key_for(path: str, content: str) -> Key:
    """The key that SHA256E gives a file of this name."""
    data = content.encode()
    name = path.rpartition("/")[2]
    extension = "." + name.rpartition(".")[2] if "." in name.strip(".") else ""
    if not extension.strip(".").isalnum() or len(extension) > 5:
        extension = ""
    return Key(b"SHA256E", (hashlib.sha256(data).hexdigest() + extension).encode(), len(data))


def blob_of(annex: AnnexState, path: str, shape: Shape, key: Key | None = None) -> Blob:
    """Mode and object of a file; `key` where it is not the one that belongs to name and content."""
    kind, content = shape
    key = key or key_for(path, content)
    if kind == "submodule":
        return MODE_GITLINK, Oid(hashlib.sha1(content.encode()).digest()) if content else SUBMODULE
    if kind == "locked":
        target = link_target(path.encode(), annex.layout.link_object_path(key))
        return MODE_LINK, annex.objects.add(BLOB, target)
    data = pointer_for(key) if kind.startswith("unlocked") else content.encode()
    mode = MODE_LINK if kind == "symlink" else MODE_EXECUTABLE if kind.endswith("+x") else MODE_FILE
    return mode, annex.objects.add(BLOB, data)


def tree_with(annex: AnnexState, files: Files) -> Oid:
    """A tree of these files and nothing else."""
    changes = {path.encode(): blob_of(annex, path, shape) for path, shape in files.items()}
    return Trees(annex.objects).update(None, changes) or annex.objects.add(TREE, b"") or EMPTY_TREE


def commit(annex: AnnexState, tree: Oid, *parents: Oid, when: int = WHEN) -> Oid:
    """A commit, and all that it names, in the object store."""
    who = Signature(annex.identity.author, when, b"+0000")
    oid = annex.objects.add(COMMIT, build_commit(tree, parents, who, who, b"made for a test\n"))
    annex.objects.flush()
    return oid


def shown(annex: AnnexState, commit: Oid) -> dict[str, str]:
    """Path -> what is there, in the words of tests/data/vectors.json."""
    found = read_commit(annex.objects, commit)
    assert found is not None
    return {path.decode(): _words(annex, blob) for path, blob in Trees(annex.objects).entries(found.tree)}


def _words(annex: AnnexState, blob: Blob) -> str:
    mode, oid = blob
    if mode == MODE_GITLINK:
        return "submodule"
    data = annex.objects.read_blob(oid)
    assert data is not None
    key = parse_link(data) if mode == MODE_LINK else parse_pointer(data)
    executable = " +x" if mode == MODE_EXECUTABLE else ""
    if mode == MODE_LINK:
        return f"locked {bytes(key).decode()}" if key else f"symlink {data.decode()}"
    return f"unlocked {bytes(key).decode()}{executable}" if key else f"git {data.decode()!r}{executable}"
