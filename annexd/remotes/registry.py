"""The remotes of a repository: described from its configuration, and made live."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from annexd.annex.config import RemoteConfig
from annexd.annex.state import AnnexState
from annexd.errors import AnnexError, RemoteRefused
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID
from annexd.git.config import set_config
from annexd.git.repository import GitRepository
from annexd.remotes import git_local, git_ssh
from annexd.remotes.apart import why_apart
from annexd.remotes.contract import ContentSupport, Remote, RemoteKind, RemoteSpec

SPECIAL_SETTINGS = (
    "annex-directory", "annex-rsyncurl", "annex-s3", "annex-webdav", "annex-externaltype", "annex-glacier",
    "annex-ddarrepo", "annex-bup-remote", "annex-buprepo", "annex-adb-serial", "annex-androiddirectory", "annex-tahoe",
    "annex-hooktype", "annex-gcrypt", "annex-web", "annex-httpalso", "annex-borgrepo", "annex-rclone",
)  # fmt: skip
"""Settings that mark a special remote. Source: git-annex, configuration of special remotes."""


@dataclass(frozen=True, slots=True)
class RemoteType:
    """One way of reaching remotes: `cost` unless configured, `content` says whether we move content there yet."""

    kind: RemoteKind
    cost: float
    content: ContentSupport
    open: Callable[[RemoteSpec], Remote] | None


TYPES = (
    RemoteType(RemoteKind.GIT_LOCAL, 100.0, ContentSupport(), git_local.LocalGitRemote),
    RemoteType(RemoteKind.GIT_SSH, 200.0, git_ssh.CONTENT, None),
    RemoteType(RemoteKind.SPECIAL, 200.0, ContentSupport("special remotes are not supported yet"), None),
)
_BY_KIND = {remote_type.kind: remote_type for remote_type in TYPES}


def load_specs(state: AnnexState) -> tuple[RemoteSpec, ...]:
    """The remotes that `state`'s configuration names, in its order; blocks for a look at those on this machine.

    A uuid that was not known before is written to remote.N.annex-uuid, as git-annex does. A remote that cannot be asked
    is there without a uuid. Raises GitError when our own configuration cannot be written.
    """
    remotes = state.config.remotes
    specs = tuple(describe(state.repo, remote) for remote in remotes)
    learned = {s.name: s.uuid for s, remote in zip(specs, remotes, strict=True) if s.uuid and remote.uuid is None}
    for name, uuid in learned.items():
        set_config(state.repo, f"remote.{name}.annex-uuid", uuid)
    if learned:
        state.reload_config()       # so that nobody asks them again
    dead = {uuid for uuid, level in state.settings.trust_levels.items() if level is TrustLevel.DEAD}
    return tuple(_without_dead(_without_apart(state, spec), dead) for spec in specs)


def describe(repo: GitRepository, config: RemoteConfig) -> RemoteSpec:
    """One remote; reads a repository on this machine for its uuid when we have not noted it."""
    path = local_path(config.url, repo.top)
    kind = _kind(config, path)
    known = _BY_KIND[kind]
    available = path is None or _git_dir_of(path) is not None
    uuid = config.uuid
    if uuid is None and path is not None and available and not config.ignore:
        uuid = _uuid_at(path)
    return RemoteSpec(
        name=config.name,
        uuid=uuid,
        kind=kind,
        cost=known.cost if config.cost is None else config.cost,
        url=config.url,
        path=path,
        config=config,
        available=available,
        content=known.content,
    )


def open_remote(spec: RemoteSpec) -> Remote:
    """A live remote for the thread that asks; connects on first use. Raises RemoteRefused when not supported."""
    opener = _BY_KIND[spec.kind].open
    if opener is None:
        raise RemoteRefused(f"remote {spec.name}: {_BY_KIND[spec.kind].content.reason}")
    if not spec.content.is_there:
        raise RemoteRefused(f"remote {spec.name}: {spec.content.reason}")
    return opener(spec)


def local_path(url: str | None, top: bytes) -> bytes | None:
    """The absolute path that a url of git names on this machine; None for a place elsewhere.

    Relative paths count from `top`. Source: git, "GIT URLS".
    """
    if not url:
        return None
    if url.startswith("file://"):
        parts = urlsplit(url)
        return os.path.normpath(os.fsencode(unquote(parts.path, errors="surrogateescape"))) if parts.path else None
    if "://" in url or "::" in url:
        return None
    colon, slash = url.find(":"), url.find("/")
    if colon >= 0 and (slash < 0 or colon < slash):     # host:path
        return None
    return os.path.normpath(os.path.join(top, os.path.expanduser(os.fsencode(url))))


def _kind(config: RemoteConfig, path: bytes | None) -> RemoteKind:
    if path is not None:
        return RemoteKind.GIT_LOCAL
    if config.url is None or any(config.setting(name) is not None for name in SPECIAL_SETTINGS):
        return RemoteKind.SPECIAL
    return RemoteKind.GIT_SSH


def _git_dir_of(path: bytes) -> bytes | None:
    """A quick look, without reading anything: is a repository there?"""
    inner = os.path.join(path, b".git")
    if os.path.lexists(inner):
        return inner
    return path if os.path.isdir(os.path.join(path, b"objects")) else None


def _uuid_at(path: bytes) -> UUID | None:
    """The uuid of the repository at `path`; a clone of an annex gets one first, as git-annex has it."""
    try:
        with AnnexState.open(path) as there:
            return there.uuid
    except (AnnexError, OSError):   # no annex, or not ours to read: it is a plain git remote for us
        return None


def _without_apart(state: AnnexState, spec: RemoteSpec) -> RemoteSpec:
    spec = replace(spec, tunings=state.config.tunings)
    reason = why_apart(state, spec.name, spec.path, thoroughly=False) if spec.available else ""
    return replace(spec, content=ContentSupport(reason)) if reason else spec


def _without_dead(spec: RemoteSpec, dead: set[UUID]) -> RemoteSpec:
    if spec.uuid in dead:
        return replace(spec, content=ContentSupport("the repository is marked as dead"))
    return spec
