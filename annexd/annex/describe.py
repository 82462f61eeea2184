"""What a repository is called when nobody gave it a name.

Source: git-annex, default description of `git annex init`.
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping


def default_description(directory: bytes, environ: Mapping[bytes, bytes] = os.environb) -> bytes:
    """USER@HOST:DIR with "~" for the home directory; `directory` is the top of the work tree or a bare repository."""
    return b"%b@%b:%b" % (user_name(environ), host_name(), _shortened(directory, environ))


def host_name() -> bytes:
    """What this machine calls itself."""
    return os.fsencode(socket.gethostname())


def user_name(environ: Mapping[bytes, bytes] = os.environb) -> bytes:
    """The name of the user that we run as; the number of one without a name."""
    for name in (b"USER", b"LOGNAME"):
        if environ.get(name):
            return environ[name]
    try:
        return os.fsencode(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return b"%d" % os.geteuid()


def _shortened(directory: bytes, environ: Mapping[bytes, bytes]) -> bytes:
    home = environ.get(b"HOME", b"").rstrip(b"/")
    if home and directory == home:
        return b"~"
    if home and directory.startswith(home + b"/"):
        return b"~" + directory[len(home) :]
    return directory
