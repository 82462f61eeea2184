"""The user unit as it is shipped, under a real user manager.

The manager gets a mount namespace in which /run is its own, and no units but its most basic targets and ours: nothing
that cleans up directories of this machine can run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.privileges import may_mount
from tests.support.repositories import git

UNIT = Path(__file__).parents[2] / "systemd/annexd@.service"
MANAGER = Path("/usr/lib/systemd/systemd")
BASIC = ("default.target", "basic.target", "shutdown.target", "exit.target", "sockets.target", "timers.target",
         "paths.target", "systemd-exit.service", "app.slice")  # fmt: skip
LIMIT = 90.0

SCRIPT = r"""
set -eu
mount -t tmpfs none /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
until_true() { n=0; until "$@"; do n=$((n+1)); [ $n -lt 200 ] || return 1; sleep 0.1; done; }
setsid "$MANAGER" --user >"$HOME/manager.log" 2>&1 &
manager=$!
trap 'kill -9 $manager 2>/dev/null || true' EXIT
up() { systemctl --user is-system-running >/dev/null 2>&1; }
until_true up || exit 77
unit="annexd@$(systemd-escape --path "$FOLDER").service"
show() { systemctl --user show -p "$1" --value "$unit"; }
systemctl --user start "$unit"
echo "started $(show ActiveState) $(show StatusText)"
first=$(show MainPID)
echo hello > "$FOLDER/file"
committed() { [ -n "$(git -C "$FOLDER" ls-files file)" ]; }
until_true committed && echo "committed"
systemctl --user reload "$unit" && [ "$(show MainPID)" = "$first" ] && echo "reloaded"
kill -9 "$first"
is_new() { pid=$(show MainPID); [ "$pid" != 0 ] && [ "$pid" != "$first" ] && [ "$(show ActiveState)" = active ]; }
until_true is_new && echo "restarted $(show NRestarts)"
systemctl --user stop "$unit"
echo "stopped $(show ActiveState) $(show Result)"
"""


@pytest.fixture
def environment(tmp_path: Path, clean_environment: dict[str, str]) -> dict[str, str]:
    """What a user's manager knows: a home with annexd where pip puts it, and units."""
    home = tmp_path / "home"
    units = home / "units"
    (home / ".local/bin").mkdir(parents=True)
    units.mkdir()
    for name in ("annexd", "git-annex"):
        (home / ".local/bin" / name).symlink_to(Path(sys.executable).parent / "annexd")
    for name in BASIC:
        found = Path("/usr/lib/systemd/user") / name
        if found.exists():
            shutil.copy(found, units)
    shutil.copy(UNIT, units)
    shutil.copy(Path(clean_environment["HOME"]) / ".gitconfig", home)
    return clean_environment | {
        "HOME": str(home), "XDG_RUNTIME_DIR": "/run/user/manager", "SYSTEMD_UNIT_PATH": str(units),
        "MANAGER": str(MANAGER), "PATH": f"{home}/.local/bin:{os.environ['PATH']}",
    }  # fmt: skip


def test_the_unit_starts_restarts_and_stops_the_daemon(tmp_path: Path, environment: dict[str, str]) -> None:
    may_mount()
    if not MANAGER.exists():
        pytest.skip("no systemd here")
    folder = tmp_path / "my annex"
    folder.mkdir()
    git(folder, "init", "-q")
    subprocess.run(["annexd", "init", "here"], cwd=folder, env=environment, check=True, capture_output=True)

    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private", "sh", "-c", SCRIPT],
        env=environment | {"FOLDER": str(folder)}, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip

    if done.returncode == 77:
        pytest.skip("a user manager does not run here")
    assert done.stdout.splitlines() == [
        "started active in sync", "committed", "reloaded", "restarted 1", "stopped inactive success",
    ], done.stderr  # fmt: skip
