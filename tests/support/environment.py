"""An environment that knows nothing of the person who runs the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FOREIGN = ("GIT_", "XDG_", "DBUS_", "GNUPG", "SSH_", "NOTIFY_SOCKET", "ANNEXD_", "LC_", "LANG", "EDITOR", "VISUAL")

GITCONFIG = """\
[user]
	name = Test Person
	email = person@example.com
[init]
	defaultBranch = main
[protocol "file"]
	allow = always
[gc]
	auto = 0
[advice]
	detachedHead = false
"""


def isolated(home: Path) -> dict[str, str]:
    """The environment for programs under test, with `home` (made ready here) as the home directory."""
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(GITCONFIG)
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    scripts = str(Path(sys.executable).parent)
    env["PATH"] = os.pathsep.join([scripts, *(p for p in env.get("PATH", "").split(os.pathsep) if p != scripts)])
    env["PYTHONPATH"] = str(PROJECT)
    env.update(HOME=str(home), GIT_CONFIG_NOSYSTEM="1", GIT_TERMINAL_PROMPT="0", LC_ALL="C.UTF-8")
    return env
