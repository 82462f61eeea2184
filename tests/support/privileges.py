"""What tests may do on this machine, and how they do it where a superuser would not feel what they try."""

from __future__ import annotations

import os
import subprocess

import pytest

_POWERS = "-dac_override,-dac_read_search"


def bound_by_permissions() -> list[str]:
    """A wrapper under which a program is bound by file permissions, also where the tests run as root."""
    if os.geteuid() != 0:
        return []
    wrapper = ["setpriv", f"--bounding-set={_POWERS}"]
    return _or_skip(wrapper)


def with_few_watches(watches: int) -> list[str]:
    """A wrapper under which the kernel gives a program no more than so many inotify watches."""
    script = f'echo {watches} > /proc/sys/user/max_inotify_watches && exec "$@"'
    return _or_skip(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"])


def may_mount() -> None:
    """Skip the test where nothing can be mounted."""
    _or_skip(["unshare", "--mount"])
    if os.geteuid() != 0:
        pytest.skip("only root mounts")


def _or_skip(wrapper: list[str]) -> list[str]:
    try:
        works = subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        pytest.skip(f"{wrapper[0]} does not work here")
    return wrapper
