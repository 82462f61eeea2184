"""Where a git repository is, what kind it is, and how to run git in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from annexd.errors import GitError, RepositoryError
from annexd.git.config_file import parse_bool, parse_config_file
from annexd.git.process import Completed, GitProcess, git_environment, run_git

# git must hand over content as it is: no filter process (which may be ourselves), no fsmonitor daemon started.
_PLAIN = (
    b"-c", b"core.fsmonitor=false",
    b"-c", b"filter.annex.process=",
    b"-c", b"filter.annex.clean=",
    b"-c", b"filter.annex.smudge=",
)  # fmt: skip
_MAX_SETTINGS = 1 << 24


@dataclass(frozen=True, slots=True)
class GitRepository:
    """A git repository on this machine; a plain value, free to use from any thread.

    Paths are absolute bytes. `git_dir` is the work tree's own directory (HEAD, index), `common_dir` the one
    that all work trees share (objects, refs, config); they differ only for `git worktree`.
    `shared_bits` are the permission bits that core.sharedRepository adds (0 for a private repository);
    `is_partial` tells of a partial clone, which lacks objects that its remote has.
    """

    git_dir: bytes
    common_dir: bytes
    work_tree: bytes | None
    object_format: str = "sha1"
    ref_format: str = "files"
    shared_bits: int = 0
    index_file: bytes = b""
    explicit: bool = False
    is_partial: bool = False

    @classmethod
    def discover(cls, path: bytes, environ: Mapping[bytes, bytes] | None = None) -> GitRepository:
        """The repository that `path` is in, looking upwards as git does; starts no process.

        With `environ` (pass os.environb in hooks and filters) GIT_DIR, GIT_WORK_TREE and GIT_INDEX_FILE count.
        Raises RepositoryError when there is none or it is damaged.
        """
        start = os.path.abspath(path)
        if environ and environ.get(b"GIT_DIR"):
            return _from_environment(start, environ)
        directory = start
        while True:
            found = _git_dir_at(directory)
            if found is not None:
                repo = _open(found[0], found[1])
                break
            parent = os.path.dirname(directory)
            if parent == directory:
                raise RepositoryError(f"{os.fsdecode(start)!r} is not in a git repository")
            directory = parent
        if environ and environ.get(b"GIT_INDEX_FILE"):
            repo = repo.with_index(os.path.join(repo.top, environ[b"GIT_INDEX_FILE"]))
        return repo

    @property
    def is_bare(self) -> bool:
        """Whether it has no work tree."""
        return self.work_tree is None

    @property
    def top(self) -> bytes:
        """Where commands run: top of the work tree, or the git directory of a bare repository."""
        return self.git_dir if self.work_tree is None else self.work_tree

    @property
    def index_path(self) -> bytes:
        """git's index file."""
        return self.index_file or os.path.join(self.git_dir, b"index")

    @property
    def objects_dir(self) -> bytes:
        """Directory of loose objects and packs."""
        return os.path.join(self.common_dir, b"objects")

    @property
    def is_plain(self) -> bool:
        """Whether our own writers fit: sha1 objects and refs in files."""
        return self.object_format == "sha1" and self.ref_format == "files"

    def with_index(self, path: bytes) -> GitRepository:
        """The same repository, with another file as git's index."""
        return replace(self, index_file=path)

    def require_sha1(self) -> None:
        """Raises RepositoryError unless objects are named by SHA-1: nothing else can be read or written yet."""
        if self.object_format != "sha1":
            raise RepositoryError(
                f"{os.fsdecode(self.top)!r} names its objects by {self.object_format}",
                hint="only sha1 repositories are supported",
            )

    def share(self, fd: int) -> None:
        """Give an open new file the permission bits that core.sharedRepository adds."""
        if self.shared_bits:
            mode = os.fstat(fd).st_mode & 0o777
            os.fchmod(fd, mode | (self.shared_bits if mode & 0o200 else self.shared_bits & ~0o222))

    def argv(self, *args: bytes) -> tuple[bytes, ...]:
        """Command line of git in this repository."""
        return (b"git", b"-C", self.top, *_PLAIN, *args)

    def environment(self, env: Mapping[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Environment of git in this repository."""
        built = git_environment()
        if self.explicit:
            built[b"GIT_DIR"] = self.git_dir
            if self.work_tree is not None:
                built[b"GIT_WORK_TREE"] = self.work_tree
        if self.index_file:
            built[b"GIT_INDEX_FILE"] = self.index_file
        if env:
            built.update(env)
        return built

    def complete(
        self,
        *args: bytes,
        stdin: bytes = b"",
        env: Mapping[bytes, bytes] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run git and return its status and output, whatever the status. Blocks. Raises GitError on a time-out."""
        return run_git(self.argv(*args), self.environment(env), stdin, timeout)

    def run(
        self,
        *args: bytes,
        stdin: bytes = b"",
        env: Mapping[bytes, bytes] | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> bytes:
        """Run git with unaltered bytes and return its stdout. Blocks.

        Raises GitError when it fails, unless `check` is False.
        """
        done = self.complete(*args, stdin=stdin, env=env, timeout=timeout)
        if check and done.returncode:
            raise GitError(self.argv(*args), done.returncode, done.stderr)
        return done.stdout

    def start(self, *args: bytes, env: Mapping[bytes, bytes] | None = None) -> GitProcess:
        """Start git and talk to it through pipes; the caller closes it."""
        return GitProcess(self.argv(*args), self.environment(env))


def _from_environment(start: bytes, environ: Mapping[bytes, bytes]) -> GitRepository:
    git_dir = os.path.abspath(os.path.join(start, environ[b"GIT_DIR"]))
    if os.path.isfile(git_dir):
        git_dir = _follow_git_file(git_dir)
    if not _is_git_dir(git_dir):
        raise RepositoryError(f"GIT_DIR names {os.fsdecode(git_dir)!r}, which is not a git directory")
    # A hook gets GIT_DIR without GIT_WORK_TREE and runs at the top of the work tree or inside the git directory.
    if os.path.basename(git_dir) == b".git":
        work_tree: bytes | None = os.path.dirname(git_dir)
    else:
        work_tree = None if start == git_dir else start
    repo = _open(git_dir, work_tree)
    given = environ.get(b"GIT_WORK_TREE")
    if given:
        repo = replace(repo, work_tree=os.path.abspath(os.path.join(start, given)))
    index = environ.get(b"GIT_INDEX_FILE")
    return replace(repo, index_file=os.path.abspath(os.path.join(start, index)) if index else b"", explicit=True)


def _is_git_dir(path: bytes) -> bool:
    return os.path.lexists(os.path.join(path, b"HEAD")) and (
        os.path.isfile(os.path.join(path, b"commondir"))
        or (os.path.isdir(os.path.join(path, b"objects")) and os.path.isdir(os.path.join(path, b"refs")))
    )


def _git_dir_at(directory: bytes) -> tuple[bytes, bytes | None] | None:
    """(git directory, work tree it implies) if `directory` is the top of a work tree or a git directory."""
    inner = os.path.join(directory, b".git")
    if os.path.isfile(inner):
        return _follow_git_file(inner), directory
    if _is_git_dir(inner):
        # Through a symlink ".." would lead elsewhere; git-annex makes such symlinks for submodules and work trees.
        return os.path.realpath(inner) if os.path.islink(inner) else inner, directory
    if _is_git_dir(directory):
        return directory, os.path.dirname(directory) if os.path.basename(directory) == b".git" else None
    return None


def _follow_git_file(path: bytes) -> bytes:
    text = _read_small(path)
    if not text.startswith(b"gitdir: "):
        raise RepositoryError(f"{os.fsdecode(path)!r} does not name a git directory")
    target = os.path.normpath(os.path.join(os.path.dirname(path), text[8:].rstrip(b"\r\n")))
    if not _is_git_dir(target):
        raise RepositoryError(f"{os.fsdecode(path)!r} names {os.fsdecode(target)!r}, which is not a git directory")
    return target


def _open(git_dir: bytes, work_tree: bytes | None) -> GitRepository:
    common_dir = git_dir
    link = os.path.join(git_dir, b"commondir")
    is_linked = os.path.isfile(link)
    if is_linked:
        common_dir = os.path.normpath(os.path.join(git_dir, _read_small(link).rstrip(b"\r\n")))
    settings = _settings(common_dir, git_dir)
    if not is_linked:
        bare = settings.get(b"core.bare", b"false" if work_tree is not None else b"true")
        if parse_bool(bare):
            work_tree = None
    configured = settings.get(b"core.worktree")
    if configured and not is_linked:
        work_tree = os.path.normpath(os.path.join(git_dir, configured))
    return GitRepository(
        git_dir=git_dir,
        common_dir=common_dir,
        work_tree=work_tree,
        object_format=(settings.get(b"extensions.objectformat") or b"sha1").decode("ascii", "replace").lower(),
        ref_format=(settings.get(b"extensions.refstorage") or b"files").decode("ascii", "replace").lower(),
        shared_bits=_shared_bits(settings.get(b"core.sharedrepository", b"umask")),
        is_partial=b"extensions.partialclone" in settings,
    )


def _settings(common_dir: bytes, git_dir: bytes) -> dict[bytes, bytes | None]:
    path = os.path.join(common_dir, b"config")
    try:
        settings = dict(parse_config_file(_read_small(path)))
        if parse_bool(settings.get(b"extensions.worktreeconfig", b"false")):
            own = os.path.join(git_dir, b"config.worktree")
            if os.path.exists(own):
                settings.update(parse_config_file(_read_small(own)))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        raise RepositoryError(f"cannot read {os.fsdecode(path)!r}: {e}") from e
    return settings


def _shared_bits(value: bytes | None) -> int:
    """core.sharedRepository as the permission bits it adds. Source: git, documentation of git-init, "--shared"."""
    word = b"group" if value is None else value.lower()
    if word in (b"umask", b"false", b"no", b"off", b"0", b""):
        return 0
    if word in (b"group", b"true", b"yes", b"on", b"1"):
        return 0o660
    if word in (b"all", b"world", b"everybody", b"2"):
        return 0o664
    try:
        return int(word, 8) & 0o666
    except ValueError as e:
        raise RepositoryError(f"core.sharedRepository has the unknown value {os.fsdecode(word)!r}") from e


def _read_small(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MAX_SETTINGS)
