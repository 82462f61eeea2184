"""Git repositories elsewhere: their history is synced by git itself, their content not yet."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from annexd.errors import RemoteProtocolError, RemoteRefused
from annexd.formats.uuid import UUID
from annexd.remotes.contract import ContentSupport

CONTENT = ContentSupport("content over the network is not supported yet; only the git history is synced")

SHELL = "git-annex-shell"
_SCP = re.compile(r"(?P<login>[^/:\[]*\[[^\]/]+\]|[^/:]+):(?P<path>.+)", re.DOTALL)
_HELPER = re.compile(r"[\w-]+::")
_UUID = re.compile(rb"^annex\.uuid=([0-9A-Za-z._-]{1,100})\r?$", re.MULTILINE)


def login_and_path(url: str) -> tuple[str, str] | None:
    """What to connect to (user@host:port) and the directory there; None when git does not use ssh for this url.

    A path below somebody's home is given as `/~/…`. Source: git, "GIT URLS"; git-annex-shell, directories.
    """
    if "://" in url:
        parts = urlsplit(url)
        if parts.scheme not in ("ssh", "git+ssh", "ssh+git") or not parts.netloc or not parts.path:
            return None
        return unquote(parts.netloc), unquote(parts.path)
    found = _SCP.fullmatch(url)
    if found is None or _HELPER.match(url):
        return None
    path = found["path"]
    return found["login"], path if path.startswith("/") else "/~/" + path.removeprefix("~/")


def ask_uuid(url: str, *, shell: str | None = None, timeout: float = 10.0) -> UUID | None:
    """The uuid of the annex at a url of git's that goes by ssh; None when there is a repository that is no annex.

    Blocks for up to `timeout` seconds for the connection, and as long for the answer. `shell` is
    remote.N.annex-shell. Raises RemoteUnavailable, RemoteRefused, RemoteProtocolError. Source: git-annex-shell,
    configlist.
    """
    from annexd.system.ssh import SshClient, Target

    where = login_and_path(url)
    if where is None:
        raise RemoteRefused(f"{url} does not lead over ssh")
    login, path = where
    with SshClient.connect(Target.parse(login), timeout=timeout) as client:
        answer = client.run(f"{shell or SHELL} 'configlist' {_quoted(path)}", timeout=timeout)
    if answer.status != 0:
        said = answer.err.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise RemoteProtocolError(f"{shell or SHELL} ended with {answer.status}, saying: {said[0][:200]}")
    found = _UUID.search(answer.out)
    return UUID(found[1]) if found else None


def _quoted(word: str) -> str:
    """For a POSIX shell, always in quotes. Source: git-annex-shell, command line of a client."""
    return "'" + word.replace("'", "'\"'\"'") + "'"
