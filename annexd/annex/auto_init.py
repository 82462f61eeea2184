"""A clone of an annex becomes one by itself, on the first command in it.

Source: git-annex, automatic initialisation.
"""

from __future__ import annotations

import os

from annexd.annex.config import DEFAULT_VERSION, AnnexConfig
from annexd.annex.init_steps import InitRequest, set_up
from annexd.annex.layout import RepoLayout
from annexd.errors import NotAnAnnex, RepositoryError
from annexd.formats.uuid import new_uuid
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository

_FIRST_RUN = "first run: annexd init"


def initialise_clone(repo: GitRepository, layout: RepoLayout, config: AnnexConfig) -> None:
    """Make a clone of an annex one itself, with the default description.

    Raises NotAnAnnex where that must not be done without being asked, RepositoryError when only half of the
    configuration is there.
    """
    check_allowed(repo, layout, config)
    set_up(repo, layout, config, InitRequest(new_uuid(), DEFAULT_VERSION))


def check_allowed(repo: GitRepository, layout: RepoLayout, config: AnnexConfig) -> None:
    """Raise unless `repo` is a clone of an annex that nothing speaks against initialising."""
    if config.uuid is not None or config.version is not None:
        missing = "annex.version" if config.version is None else "annex.uuid"
        raise RepositoryError(f"{missing} is not set, but the rest of the configuration is", hint="run: annexd init")
    if os.path.isdir(layout.objects_dir):
        raise NotAnAnnex(
            "there is annexed content here, but the configuration of the annex is gone",
            hint="restore annex.uuid and annex.version in git config, or run: annexd init",
        )
    if not any_annex_branch(repo):
        raise NotAnAnnex("this git repository is not an annex", hint=_FIRST_RUN)


def any_annex_branch(repo: GitRepository) -> bool:
    """Whether there is a git-annex branch, from here or from a remote."""
    refs = Refs(repo)
    try:
        return any(
            ref.endswith(b"/git-annex") for place in (b"refs/heads/", b"refs/remotes/") for ref in refs.list(place)
        )
    finally:
        refs.close()
