"""Making a git repository an annex on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from annexd.annex.adjust import settle_branch
from annexd.annex.config import DEFAULT_VERSION, SUPPORTED_VERSIONS, AnnexConfig
from annexd.annex.init_steps import InitRequest, set_up
from annexd.annex.state import AnnexState, layout_of
from annexd.annex.version import check_version
from annexd.errors import RepositoryError
from annexd.formats.uuid import UUID, new_uuid
from annexd.git.config import GitConfig, set_config
from annexd.git.repository import GitRepository
from annexd.system.clock import Clock


def initialize(
    path: bytes,
    description: bytes | None = None,
    *,
    version: int | None = None,
    uuid: UUID | None = None,
    clock: Clock | None = None,
    environ: Mapping[bytes, bytes] | None = None,
    warn: Callable[[str], None] = lambda _text: None,
) -> AnnexState:
    """Make the git repository at `path` an annex; one that is an annex already is completed, and described if asked.

    A new one gets `version` (default: the newest; git-annex, too, takes unknown ones for the newest). `uuid` is for
    a repository that is to go on as one that was lost; it replaces what is there.
    `warn` is told what a person should know about the outcome.
    Raises RepositoryError, DifferencesRefused, ConfigError, OSError, GitError.
    """
    repo = GitRepository.discover(path, environ)
    config = AnnexConfig.load(GitConfig.load(repo))
    wanted = version if version in SUPPORTED_VERSIONS else None
    check_version(config)
    if wanted and config.version not in (None, wanted):
        raise RepositoryError(
            f"This repository is already initialized with version {config.version}, "
            "not changing to requested version.",
            hint="to upgrade it: annexd upgrade",
        )
    if uuid is not None and config.uuid not in (None, uuid):
        set_config(repo, "annex.uuid", uuid)
        config = AnnexConfig.load(GitConfig.load(repo))
    request = InitRequest(uuid or new_uuid(), wanted or DEFAULT_VERSION, description)
    done = set_up(repo, layout_of(repo, config), config, request, clock)
    for warning in done.warnings:
        warn(warning)
    # Tunings that were refused may be in the environment, so that git config would tell of them again.
    config = replace(AnnexConfig.load(GitConfig.load(repo)), tunings=done.tunings)
    state = AnnexState.checked(repo, config)
    if not repo.is_bare:
        for warning in settle_branch(state):
            warn(warning)
    return state

