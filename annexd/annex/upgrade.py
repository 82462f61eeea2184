"""Upgrading repositories of version 8 to 9, and of 9 to 10.

Version 9 is 8 with a long-running filter process. Version 10 locks contents by files beside them, which programs from
before version 9 know nothing of; so git-annex waits for a year, until none of those can be running any more.
Source: git-annex, repository upgrades and upgrade.log.
"""

from __future__ import annotations

import enum
from contextlib import suppress
from dataclasses import dataclass

from annexd.annex.config import DEFAULT_VERSION, SUPPORTED_VERSIONS, AnnexConfig
from annexd.annex.hooks import Program, installed_program
from annexd.annex.layout import RepoLayout
from annexd.annex.version import FIRST_WITH_FILTER_PROCESS
from annexd.errors import FormatError
from annexd.formats.vector_clock import PICOSECONDS, VectorClock
from annexd.git.config import GitConfig, set_config
from annexd.git.repository import GitRepository
from annexd.system.clock import Clock, SystemClock
from annexd.system.files import make_dirs, read_file, write_atomically
from annexd.system.lock_pool import LOCKS
from annexd.threads.deadline import Deadline

WAIT = 365 * 24 * 3600 * PICOSECONDS    # between the upgrades to version 9 and to version 10
LOCK_SECONDS = 10.0
FILTER_PROCESS = b"filter.annex.process"


class Manner(enum.Enum):
    """Who wants the upgrade."""

    AUTOMATIC = "nobody asked"
    ASKED = "a person asked"
    FORCED = "a person insists"


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What was done: the versions that were reached, in order. With `is_deferred` the next one has to wait."""

    reached: tuple[int, ...] = ()
    is_deferred: bool = False


def upgrade(repo: GitRepository, layout: RepoLayout, manner: Manner, clock: Clock | None = None) -> Upgraded:
    """Go to the newest version, as far as `manner` allows. Idempotent; a crash leaves the old version or the new one.

    Raises LockTimeout, GitError, BusyError, OSError.
    """
    clock = clock or SystemClock()
    reached: list[int] = []
    make_dirs(layout.annex_dir, layout.common_dir)
    with LOCKS.exclusive(layout.lock(b"upgrade.lck"), Deadline(LOCK_SECONDS)):
        config = AnnexConfig.load(GitConfig.load(repo))     # somebody else may have done it
        version = config.version
        while version in SUPPORTED_VERSIONS and version < DEFAULT_VERSION:
            if version == FIRST_WITH_FILTER_PROCESS and must_wait(layout, manner, clock):
                return Upgraded(tuple(reached), is_deferred=True)
            version += 1
            if version == FIRST_WITH_FILTER_PROCESS:
                set_config(repo, FILTER_PROCESS, filter_settings(installed_program(), version)[FILTER_PROCESS])
            _note(layout, version, clock)       # first: without it, the wait for the next version would be forgotten
            set_config(repo, "annex.version", str(version))
            reached.append(version)
    return Upgraded(tuple(reached))


def is_due(layout: RepoLayout, config: AnnexConfig, clock: Clock | None = None) -> bool:
    """Whether an upgrade is to be made without anybody asking; costs nothing at the newest version."""
    version = config.version
    if version is None or version not in SUPPORTED_VERSIONS or version >= DEFAULT_VERSION or not config.auto_upgrade:
        return False
    is_waiting = version == FIRST_WITH_FILTER_PROCESS and must_wait(layout, Manner.AUTOMATIC, clock or SystemClock())
    return not is_waiting


def must_wait(layout: RepoLayout, manner: Manner, clock: Clock) -> bool:
    """Whether version 10 has to wait: version 9 is there for less than a year, or a daemon runs and nobody asked.

    git-annex does not mind a daemon; but one that began before the upgrade may go on locking contents as it did.
    """
    if manner is Manner.FORCED:
        return False
    if manner is Manner.AUTOMATIC and LOCKS.holder_pid(layout.daemon_pid) is not None:
        return True
    since = time_of_upgrade(layout, FIRST_WITH_FILTER_PROCESS)
    return since is not None and clock.time_ns() * 1000 - since.picoseconds < WAIT


def time_of_upgrade(layout: RepoLayout, version: int) -> VectorClock | None:
    """When the repository was upgraded to this version for the first time, by upgrade.log."""
    with suppress(FileNotFoundError):
        times = []
        for line in read_file(_log(layout)).split(b"\n"):
            name, _, time = line.partition(b" ")
            with suppress(FormatError):
                if name == b"%d" % version:
                    times.append(VectorClock.parse(time))
        return min(times, default=None)
    return None


def filter_settings(program: Program, version: int) -> dict[bytes, bytes]:
    """The settings that make git use the filter, in git-annex's order."""
    command = program.filter_command.encode()
    wanted = {b"filter.annex.smudge": command + b" smudge -- %f"}
    wanted[b"filter.annex.clean"] = command + b" smudge --clean -- %f"
    if version >= FIRST_WITH_FILTER_PROCESS:
        wanted[FILTER_PROCESS] = command + b" filter-process"
    return wanted


def _note(layout: RepoLayout, version: int, clock: Clock) -> None:
    time = VectorClock(clock.time_ns() * 1000)
    old = b""
    with suppress(FileNotFoundError):
        old = read_file(_log(layout))
    write_atomically(_log(layout), old + b"%d %b\n" % (version, time.format()))


def _log(layout: RepoLayout) -> bytes:
    return layout.lock(b"upgrade.log")
