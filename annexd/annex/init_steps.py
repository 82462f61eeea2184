"""The steps that make a git repository an annex, in an order that leaves none half made.

Everything that needs the annex to exist already comes after the one write that makes it one: git's config file,
replaced as a whole. A crash before it leaves a repository that is no annex, one after it an annex that another init
completes.
Source: git-annex, `git annex init`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from annexd.annex import differences, hooks
from annexd.annex.branch import ORIGIN, AnnexBranch
from annexd.annex.branch_trees import BranchTrees
from annexd.annex.config import AnnexConfig
from annexd.annex.describe import default_description
from annexd.annex.hooks import Program, installed_program
from annexd.annex.journal import Journal
from annexd.annex.layout import RepoLayout
from annexd.annex.upgrade import filter_settings
from annexd.annex.version import check_usable
from annexd.errors import ConfigError, RepositoryError
from annexd.formats.logs import config as config_log
from annexd.formats.logs import difference, trust, uuid_based
from annexd.formats.paths import display
from annexd.formats.uuid import UUID
from annexd.git.config import set_config
from annexd.git.config_edit import add_settings
from annexd.git.object_store import GitObjects
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository
from annexd.system import probe
from annexd.system.clock import Clock, SystemClock
from annexd.system.files import read_file, write_atomically

ATTRIBUTES = b"\n* filter=annex\n"
_ATTRIBUTE = b"filter=annex"


@dataclass(frozen=True, slots=True)
class InitRequest:
    """What is wanted: identity and version, which a repository that has them keeps, and a description.

    With `description` None one that was never described gets the default one.
    """

    uuid: UUID
    version: int
    description: bytes | None = None


class SetUp(NamedTuple):
    """What became of it: what a person should know, and the annex.tune.* settings that count from now on."""

    warnings: tuple[str, ...]
    tunings: tuple[str, ...]


def set_up(
    repo: GitRepository,
    layout: RepoLayout,
    config: AnnexConfig,
    request: InitRequest,
    clock: Clock | None = None,
) -> SetUp:
    """Make the repository an annex, or complete one. Idempotent.

    Raises RepositoryError where .noannex forbids it, DifferencesRefused, ConfigError, OSError, GitError.
    """
    check_noannex(repo)
    check_usable(config)
    uuid = config.uuid or request.uuid
    version = config.version or request.version
    objects, refs = GitObjects(repo), Refs(repo)
    try:
        private = frozenset((*config.private_uuids, uuid)) if config.is_private else config.private_uuids
        is_first_init = config.version is None
        config = replace(config, uuid=uuid, private_uuids=private)
        branch = AnnexBranch(repo, layout, config, objects, refs, Journal(layout))
        tuning = _tuning(branch, objects, refs, uuid, is_first_init=is_first_init)
        config = replace(config, tunings=differences.config_names(tuning.differences))
        os.makedirs(layout.annex_dir, exist_ok=True)
        facts = _probe(layout)
        branch = AnnexBranch(repo, layout, config, objects, refs, Journal(layout))
        branch.ensure_exists()
        branch.merge_siblings()
        program = installed_program()
        clock = clock or SystemClock()
        if tuning.record is not None:
            # Before the settings: an annex that is tuned must not be without its line in the log.
            note = partial(difference.set_differences, uuid=uuid, differences=tuning.record, now=clock.vector_now())
            branch.change(differences.DIFFERENCE_LOG, note, about=uuid)
        warnings = [tuning.warning] if tuning.warning else []
        warnings += [
            f"hook {hook.file_name.decode()} exists already and was left alone; add to it: {hook.command(program)}"
            for hook in hooks.install_hooks(layout, program)
        ]
        _refresh_index(repo, layout)
        add_settings(repo, _settings(config, facts, uuid, version, program, is_bare=repo.is_bare))
        if not repo.is_bare and config.support_unlocked:
            _add_attributes(repo, layout)
        _write_sentinal(layout)
        warnings += _after_config(repo, config, branch, uuid, request, clock)
        branch.commit()
        return SetUp(tuple(warnings), config.tunings)
    finally:
        objects.close()
        refs.close()


def check_noannex(repo: GitRepository) -> None:
    """Raise RepositoryError when a file .noannex at the top forbids an annex here."""
    if repo.work_tree is None:
        return
    with suppress(FileNotFoundError, IsADirectoryError):
        text = read_file(repo.work_tree + b"/.noannex", limit=1 << 16)
        said = f": {display(text.strip())}" if text.strip() else ""
        raise RepositoryError(f"the file .noannex prevents initialisation{said}", hint="remove the file to override")


def _tuning(
    branch: AnnexBranch, objects: GitObjects, refs: Refs, uuid: UUID, *, is_first_init: bool
) -> differences.Decision:
    """How the repository is to be tuned, by the branch that it has or would start from; nothing is made yet."""
    paths = (differences.DIFFERENCE_LOG, b"uuid.log")
    if branch.tip() is not None:
        log, uuid_log = map(branch.read, paths)
    else:
        trees = BranchTrees(objects)
        others = [ref for ref in sorted(refs.list(b"refs/remotes/")) if ref.endswith(b"/git-annex")]
        start = next((tip for ref in (ORIGIN, *others) if (tip := refs.read(ref)) is not None), None)
        log, uuid_log = (trees.read(trees.root(start), path) for path in paths)
    return differences.decide(branch.differences, uuid, is_first_init=is_first_init, log=log, uuid_log=uuid_log)


def _probe(layout: RepoLayout) -> probe.FileSystem:
    scratch = layout.annex_dir + b"/misctmp"
    os.makedirs(scratch, exist_ok=True)
    try:
        facts = probe.probe(scratch)
    finally:
        with suppress(OSError):
            os.rmdir(scratch)
    if not facts.has_record_locks:
        raise ConfigError(
            "this file system has no working fcntl locks; git-annex would set annex.pidlock, which is not supported",
            hint="keep the repository on another file system",
        )
    return facts


def _settings(
    config: AnnexConfig, facts: probe.FileSystem, uuid: UUID, version: int, program: Program, *, is_bare: bool
) -> dict[bytes, bytes]:
    """The settings that are still missing, in the order in which git-annex writes them."""
    wanted: dict[bytes, bytes] = {}
    if config.uuid is None or config.version is None:
        wanted[b"annex.uuid"] = uuid
        wanted[b"annex.version"] = b"%d" % version
    wanted.update((name.encode(), b"true") for name in config.tunings)
    if facts.is_crippled:
        wanted[b"annex.crippledfilesystem"] = b"true"
    if not facts.has_symlinks:
        wanted[b"core.symlinks"] = b"false"
    if not (facts.has_hard_links and facts.has_fifos):
        wanted[b"annex.sshcaching"] = b"false"
    if not is_bare and config.support_unlocked:
        wanted.update(filter_settings(program, version))
    return wanted


def _add_attributes(repo: GitRepository, layout: RepoLayout) -> None:
    """Source: git-annex, .git/info/attributes."""
    assert repo.work_tree is not None
    there = _content(layout.info_attributes)
    if _ATTRIBUTE in there or _ATTRIBUTE in _content(repo.work_tree + b"/.gitattributes"):
        return
    os.makedirs(os.path.dirname(layout.info_attributes), exist_ok=True)
    write_atomically(layout.info_attributes, there + ATTRIBUTES)


def _refresh_index(repo: GitRepository, layout: RepoLayout) -> None:
    """In a fresh clone all index entries are racy; without this, git would pass each file to the new filter."""
    if not repo.is_bare and os.path.exists(layout.index):
        repo.run(b"update-index", b"-q", b"--refresh", check=False)


def _write_sentinal(layout: RepoLayout) -> None:
    """The file by which git-annex sees that a repository was copied, so that inode numbers tell nothing."""
    path = layout.lock(b"sentinal")
    if os.path.exists(path):
        return
    write_atomically(path, b"")
    status = os.stat(path)
    seconds, nanoseconds = divmod(status.st_mtime_ns, 10**9)
    text = b"%d %d %d %09d" % (status.st_ino, status.st_size, seconds, nanoseconds)
    write_atomically(layout.lock(b"sentinal.cache"), text)


def _after_config(
    repo: GitRepository, config: AnnexConfig, branch: AnnexBranch, uuid: UUID, request: InitRequest, clock: Clock
) -> list[str]:
    warnings = []
    now = clock.vector_now()
    descriptions = uuid_based.values(branch.read(b"uuid.log"))
    if request.description is not None or uuid not in descriptions:
        text = request.description or default_description(repo.top)
        branch.change(b"uuid.log", lambda old: uuid_based.set_value(old, uuid, text, now), about=uuid)
    if _is_shared_clone(repo) and not config.hardlink:
        set_config(repo, "annex.hardlink", "true")
        untrusted = trust.TrustLevel.UNTRUSTED
        branch.change(b"trust.log", lambda old: trust.set_trust(old, uuid, untrusted, now), about=uuid)
        warnings.append("this repository was cloned with --shared: set annex.hardlink=true and made it untrusted")
    secure = config_log.parse(branch.read(b"config.log")).get(b"annex.securehashesonly")
    if secure and "annex.securehashesonly" not in config.set_in_git:
        set_config(repo, "annex.securehashesonly", secure)
    return warnings


def _is_shared_clone(repo: GitRepository) -> bool:
    return os.path.exists(repo.objects_dir + b"/info/alternates")


def _content(path: bytes) -> bytes:
    try:
        return read_file(path)
    except FileNotFoundError:
        return b""
