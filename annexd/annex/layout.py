"""Where everything lies: each path below the git directory that an annex uses."""

from __future__ import annotations

from dataclasses import dataclass

from annexd.errors import UnsafePath
from annexd.formats import hash_dirs
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.formats.uuid import UUID

UPLOAD = b"upload"
DOWNLOAD = b"download"

_LINK_PREFIX = b".git/annex/objects/"


@dataclass(frozen=True, slots=True)
class RepoLayout:
    """Every path of one repository; absolute bytes without a final slash, free to use from any thread.

    `lower_first` says that new objects go to lower-case hash directories, as in bare repositories; `lower_only`
    that there are no others, in links neither. `levels` are those of objects, `branch_levels` those of the logs of
    keys in the git-annex branch.
    Source: git-annex, layout of .git/annex.
    """

    git_dir: bytes
    common_dir: bytes
    work_tree: bytes | None
    is_bare: bool
    lower_first: bool = False
    levels: int = 2
    lower_only: bool = False
    branch_levels: int = 2

    @property
    def annex_dir(self) -> bytes:
        """G/annex; work trees of one repository share it."""
        return self.common_dir + b"/annex"

    # objects

    @property
    def objects_dir(self) -> bytes:
        """Where content is kept."""
        return self.common_dir + b"/annex/objects"

    def object_candidates(self, key: Key) -> tuple[bytes, ...]:
        """The places where the content of `key` may be, the most likely first."""
        name = key.file_name()
        first, second = hash_dirs.both(key, self.levels)
        objects = self.objects_dir
        if self.lower_only:
            return (b"%b/%b/%b/%b" % (objects, second, name, name),)
        if self.lower_first:
            first, second = second, first
        return (
            b"%b/%b/%b/%b" % (objects, first, name, name),
            b"%b/%b/%b/%b" % (objects, second, name, name),
        )

    def object_path(self, key: Key) -> bytes:
        """Where the content of `key` is put when it is new."""
        name = key.file_name()
        style = hash_dirs.lower if self.lower_first or self.lower_only else hash_dirs.mixed
        return b"%b/%b/%b/%b" % (self.objects_dir, style(key, self.levels), name, name)

    def link_object_path(self, key: Key) -> bytes:
        """What symlinks in the work tree point to, relative to its top: below ".git", mixed-case unless tuned."""
        name = key.file_name()
        style = hash_dirs.lower if self.lower_only else hash_dirs.mixed
        return b"%b%b/%b/%b" % (_LINK_PREFIX, style(key, self.levels), name, name)

    def tmp_object(self, key: Key) -> bytes:
        """A partial download of `key`, kept for resuming."""
        return self.annex_dir + b"/tmp/" + key.file_name()

    def bad_object(self, key: Key) -> bytes:
        """Where content goes that does not match `key`."""
        return self.annex_dir + b"/bad/" + key.file_name()

    # the git-annex branch

    @property
    def journal_dir(self) -> bytes:
        """Changes to the git-annex branch that are not committed yet."""
        return self.annex_dir + b"/journal"

    @property
    def journal_private_dir(self) -> bytes:
        """What is known about private repositories; never committed."""
        return self.annex_dir + b"/journal-private"

    @property
    def branch_index(self) -> bytes:
        """git-annex's index file for the git-annex branch."""
        return self.annex_dir + b"/index"

    # scratch space

    @property
    def othertmp(self) -> bytes:
        """Scratch on the file system of the objects; use while holding `lock(b"othertmp.lck")` shared."""
        return self.annex_dir + b"/othertmp"

    @property
    def annexd_dir(self) -> bytes:
        """annexd's own small files."""
        return self.annex_dir + b"/annexd"

    def lock(self, name: bytes) -> bytes:
        """The lock file (or other plain file) of this name in G/annex, e.g. `lock(b"journal.lck")`."""
        return self.annex_dir + b"/" + name

    # transfers

    @property
    def transfer_root(self) -> bytes:
        """The directory of all transfer information."""
        return self.annex_dir + b"/transfer"

    def transfer_dir(self, direction: bytes, uuid: UUID) -> bytes:
        """Where transfers from or to `uuid` are noted; `direction` is UPLOAD or DOWNLOAD."""
        return b"%b/%b/%b" % (self.transfer_root, direction, _component(uuid))

    def transfer_info(self, direction: bytes, uuid: UUID, key: Key) -> bytes:
        """The note about one running transfer."""
        return self.transfer_dir(direction, uuid) + b"/" + key.file_name()

    def transfer_lock(self, direction: bytes, uuid: UUID, key: Key) -> bytes:
        """Locked while that transfer runs."""
        return self.transfer_dir(direction, uuid) + b"/lck." + key.file_name()

    def download_key_lock(self, key: Key) -> bytes:
        """Locked, before `transfer_lock`, while `key` is downloaded from whichever remote."""
        return self.transfer_root + b"/download/lck/lck." + key.file_name()

    def failed_transfer(self, direction: bytes, uuid: UUID, key: Key) -> bytes:
        """The note about a transfer that failed and may be tried again."""
        return b"%b/failed/%b/%b/%b" % (self.transfer_root, direction, _component(uuid), key.file_name())

    # the daemon

    @property
    def daemon_pid(self) -> bytes:
        """Holds the daemon's pid; locked for the daemon's life, by git-annex's assistant as by us."""
        return self.annex_dir + b"/daemon.pid"

    @property
    def daemon_status(self) -> bytes:
        """What git-annex tells about a daemon."""
        return self.annex_dir + b"/daemon.status"

    @property
    def daemon_log(self) -> bytes:
        """The log file of the daemon."""
        return self.annex_dir + b"/daemon.log"

    # git's own

    @property
    def hooks_dir(self) -> bytes:
        """Where git looks for hooks, unless core.hooksPath says otherwise."""
        return self.common_dir + b"/hooks"

    @property
    def info_attributes(self) -> bytes:
        """The attributes file that is not in the work tree."""
        return self.common_dir + b"/info/attributes"

    @property
    def index(self) -> bytes:
        """git's own index of this work tree."""
        return self.git_dir + b"/index"


def _component(uuid: UUID) -> bytes:
    """A uuid as part of a path. Uuids come from logs that others wrote, so they can hold anything."""
    name = uuid.replace(b"/", b"")
    if name in (b"", b".", b"..") or b"\0" in name:
        raise UnsafePath(f"{display(uuid)!r} is not usable as the uuid of a repository")
    return name
