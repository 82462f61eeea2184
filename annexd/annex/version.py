"""Repositories that we work with, by their version and other settings that change how everything is kept.

Source: git-annex, repository versions, annex.pidlock.
"""

from __future__ import annotations

from annexd.annex.config import SUPPORTED_VERSIONS, AnnexConfig
from annexd.errors import ConfigError, RepositoryError

FIRST_WITH_FILTER_PROCESS = 9


def check_usable(config: AnnexConfig) -> None:
    """Raise for what we cannot honour: annex.pidlock, versions that we do not know."""
    if config.pidlock:
        raise ConfigError(
            "annex.pidlock is true, which is not supported: locks could not be shared with git-annex",
            hint="unset annex.pidlock if this file system has working fcntl locks",
        )
    check_version(config)


def check_version(config: AnnexConfig) -> None:
    """Raise RepositoryError for a version that we do not work with."""
    version = config.version
    if version is None or version in SUPPORTED_VERSIONS:
        return
    if version < min(SUPPORTED_VERSIONS):
        hint = "upgrade the repository with: git annex upgrade"
    else:
        hint = "upgrade annexd"
    raise RepositoryError(f"repository version {version} is not supported", hint=hint)
