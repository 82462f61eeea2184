"""Where the git-annex branch keeps what it knows of a key.

Source: git-annex, layout of the git-annex branch.
"""

from __future__ import annotations

from annexd.formats import hash_dirs
from annexd.formats.key import Key, key_in_path


def location_log(key: Key, levels: int = 2) -> bytes:
    """Path of the log of who has the content; `levels` is 1 in a repository tuned with OneLevelBranchHash."""
    return _log(key, levels, b".log")


def web_log(key: Key, levels: int = 2) -> bytes:
    """Path of the log of urls."""
    return _log(key, levels, b".log.web")


def remote_state_log(key: Key, levels: int = 2) -> bytes:
    """Path of the log of what remotes noted for themselves."""
    return _log(key, levels, b".log.rmt")


def metadata_log(key: Key, levels: int = 2) -> bytes:
    """Path of the log of metadata."""
    return _log(key, levels, b".log.met")


def remote_metadata_log(key: Key, levels: int = 2) -> bytes:
    """Path of the log of metadata that one remote gave."""
    return _log(key, levels, b".log.rmet")


def content_id_log(key: Key, levels: int = 2) -> bytes:
    """Path of the log of content identifiers."""
    return _log(key, levels, b".log.cid")


def chunk_log(key: Key, levels: int = 2) -> bytes:
    """Path of the log of chunks."""
    return _log(key, levels, b".log.cnk")


def key_of_location_log(path: bytes, levels: int = 2) -> Key | None:
    """The key whose location log is at `path`; None for every other file of the branch."""
    return key_of_log(path, b".log", levels)


def key_of_log(path: bytes, extension: bytes, levels: int = 2) -> Key | None:
    """The key whose log with this extension (e.g. b".log.web") is at `path`; None for every other file."""
    if not path.endswith(extension) or path.count(b"/") != levels:
        return None
    return key_in_path(path[path.rindex(b"/") + 1 : -len(extension)])


def key_of_any_log(path: bytes, levels: int = 2) -> Key | None:
    """The key that the file at `path` is about, whichever of its logs it is; None for every other file."""
    extension = next((known for known in _EXTENSIONS if path.endswith(known)), None)
    return None if extension is None else key_of_log(path, extension, levels)


_EXTENSIONS = (b".log", b".log.web", b".log.rmt", b".log.met", b".log.rmet", b".log.cid", b".log.cnk")


def _log(key: Key, levels: int, extension: bytes) -> bytes:
    return b"%b/%b%b" % (hash_dirs.lower(key, levels), key.file_name(), extension)
