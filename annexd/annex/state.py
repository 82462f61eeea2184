"""What one owner needs to act on one repository."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from functools import cached_property

from annexd.annex.attribute_names import ATTRIBUTES
from annexd.annex.branch import AnnexBranch
from annexd.annex.checkout_workers import CheckoutWorkers, worker_count
from annexd.annex.config import DEFAULT_VERSION, AnnexConfig
from annexd.annex.differences import DIFFERENCE_LOG, check_own, of_config
from annexd.annex.git_link import link_git_dir
from annexd.annex.identity import identity_of
from annexd.annex.index_access import IndexAccess, IndexMemory
from annexd.annex.journal import Journal
from annexd.annex.layout import RepoLayout
from annexd.annex.location_log import LocationLog
from annexd.annex.objects import ObjectStore
from annexd.annex.settings import Settings
from annexd.annex.version import check_usable
from annexd.errors import AnnexError, NotAnAnnex
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID
from annexd.git.attributes import CheckAttr
from annexd.git.commit import Identity
from annexd.git.config import GitConfig
from annexd.git.object_store import GitObjects
from annexd.git.refs import Refs
from annexd.git.repository import GitRepository
from annexd.system.clock import Clock, SystemClock
from annexd.system.logging import get_logger

log = get_logger(__name__)


class AutoInit(enum.Enum):
    """What to do about a clone of an annex that is not initialised yet."""

    YES = "yes"
    NO = "no"


class AnnexState:
    """A repository with its configuration, git objects, branch and content; every part is made on first use.

    Belongs to one thread at a time; `fork` gives another thread its own. Close it, or use it with `with`.
    """

    def __init__(self, repo: GitRepository, git_config: AnnexConfig, clock: Clock | None = None) -> None:
        self.repo = repo
        self.layout = layout_of(repo, git_config)
        self._clock = clock or SystemClock()
        self._git_config = git_config
        self._index_memory = IndexMemory()
        self._config: AnnexConfig | None = None
        self._settings: Settings | None = None

    @classmethod
    def open(
        cls,
        path: bytes,
        *,
        auto_init: AutoInit = AutoInit.YES,
        environ: Mapping[bytes, bytes] | None = None,
    ) -> AnnexState:
        """The annex that `path` lies in; a clone of an annex becomes one first, unless `auto_init` forbids it.

        It is upgraded where that is due, unless annex.autoupgraderepository is false.

        With `environ` (the command line passes its own) GIT_DIR, GIT_WORK_TREE and GIT_INDEX_FILE count.
        Raises NotAnAnnex, RepositoryError (also for versions we do not know), DifferencesRefused, ConfigError.
        """
        repo = GitRepository.discover(path, environ)
        config = AnnexConfig.load(GitConfig.load(repo))
        if not _check_initialised(repo, config, auto_init):
            config = AnnexConfig.load(GitConfig.load(repo))
        if config.version is not None and config.version < DEFAULT_VERSION and _upgrade(repo, config):
            config = AnnexConfig.load(GitConfig.load(repo))
        return cls.checked(repo, config)

    @classmethod
    def checked(cls, repo: GitRepository, config: AnnexConfig) -> AnnexState:
        """The annex in `repo`, which has this git config. Raises RepositoryError, DifferencesRefused, ConfigError."""
        check_usable(config)
        link_git_dir(repo, config)
        state = cls(repo, config)
        try:
            state.branch.check_differences()
        except BaseException:
            state.close()
            raise
        return state

    @property
    def uuid(self) -> UUID:
        """This repository's identity. Raises NotAnAnnex when it has none."""
        if self._git_config.uuid is None:
            raise NotAnAnnex("annex.uuid is not set", hint="run: annexd init")
        return self._git_config.uuid

    @property
    def config(self) -> AnnexConfig:
        """Git config, and config.log where git config says nothing; as of the last reload or change of settings."""
        if self._config is None:
            self._config = self._git_config.with_config_log(self.settings.config)
        return self._config

    @property
    def settings(self) -> Settings:
        """What the git-annex branch says about repositories and about all of them, as of now.

        Looks at the ref each time, so hold on to it in loops.
        """
        version = self.branch.settings_version()
        if self._settings is None or self._settings.version != version:
            self._settings = Settings.load(self.branch, version, _trust_here(self._git_config))
            self._config = None
        return self._settings

    @cached_property
    def objects(self) -> GitObjects:
        """git's objects."""
        return GitObjects(self.repo)

    @cached_property
    def refs(self) -> Refs:
        """git's refs."""
        return Refs(self.repo)

    @cached_property
    def index(self) -> IndexAccess:
        """git's index of the work tree."""
        return IndexAccess(self.repo, self.layout.annexd_dir, self._index_memory, self.config.fidelity)

    @cached_property
    def attributes(self) -> CheckAttr:
        """What .gitattributes say about annexing; `reset` it when such a file changed."""
        return CheckAttr(self.repo, ATTRIBUTES)

    @cached_property
    def identity(self) -> Identity:
        """Who commits here, as git's settings and environment say."""
        return identity_of(self.repo)

    @cached_property
    def branch(self) -> AnnexBranch:
        """The git-annex branch, its journal included."""
        journal = Journal(self.layout)
        return AnnexBranch(
            self.repo, self.layout, self._git_config, self.objects, self.refs, journal, lambda: self.identity
        )

    @cached_property
    def locations(self) -> LocationLog:
        """Which repositories have the content of which keys."""
        return LocationLog(self.branch, self._clock)

    @cached_property
    def store(self) -> ObjectStore:
        """Content that is here."""
        return ObjectStore(self.layout, self._git_config)

    def give_way(self, may_commit: Callable[[], None]) -> None:
        """Before HEAD or the index is changed, call `may_commit`; it raises IndexLocked to prevent that."""
        self._index_memory.may_commit = may_commit

    @cached_property
    def checkout_workers(self) -> CheckoutWorkers:
        """Processes that write many files at once, as many as git's settings say."""
        return CheckoutWorkers(worker_count(self._git_config.checkout_workers))

    def fork(self) -> AnnexState:
        """A state of its own for another thread; shares nothing that changes."""
        return AnnexState(self.repo, self._git_config, self._clock)

    def reset(self) -> None:
        """Forget everything that was read, and end helper processes: after a failure only the disk is right."""
        self.close()
        self._config = self._settings = None

    def reload_config(self) -> None:
        """Read git config anew. Raises ConfigError, RepositoryError, and keeps what it had."""
        config = AnnexConfig.load(GitConfig.load(self.repo))
        check_usable(config)
        if config.tunings != self._git_config.tunings:
            check_own(config, self.branch.read(DIFFERENCE_LOG))
        self._use(config)

    def reload_config_of(self, other: AnnexState) -> None:
        """Take over the git config that another state of this repository has read, and its settings if it has read
        them too; starts and ends no process.
        """
        self._use(other._git_config)
        self._settings = other._settings

    def _use(self, config: AnnexConfig) -> None:
        self._git_config = config
        self._config = self._settings = None
        self.layout = layout_of(self.repo, config)
        attributes = self.__dict__.pop("attributes", None)
        if attributes is not None:
            attributes.close()
        workers = self.__dict__.pop("checkout_workers", None)
        if workers is not None:
            workers.close()
        for name in ("locations", "branch", "store", "identity"):
            self.__dict__.pop(name, None)

    def close(self) -> None:
        """End helper processes. The state can be used again afterwards, and starts them anew."""
        parts = self.__dict__
        for name in ("locations", "branch", "index", "identity"):
            parts.pop(name, None)
        for name in ("objects", "refs", "attributes", "checkout_workers"):
            part = parts.pop(name, None)
            if part is not None:
                part.close()

    def __enter__(self) -> AnnexState:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def layout_of(repo: GitRepository, config: AnnexConfig) -> RepoLayout:
    """The paths of `repo`."""
    tuned = of_config(config)
    return RepoLayout(
        git_dir=repo.git_dir,
        common_dir=repo.common_dir,
        work_tree=repo.work_tree,
        is_bare=repo.is_bare,
        lower_first=repo.is_bare or (config.crippled_file_system and not config.symlinks),
        levels=tuned.object_levels(),
        lower_only=tuned.has_lower_objects(),
        branch_levels=tuned.branch_levels(),
    )


def _check_initialised(repo: GitRepository, config: AnnexConfig, wanted: AutoInit) -> bool:
    """True when there was nothing to do; False when the repository was initialised just now."""
    if config.uuid is not None and config.version is not None:
        return True
    if wanted is AutoInit.NO:
        raise NotAnAnnex("this git repository is not an annex", hint="run: annexd init")
    from annexd.annex import auto_init  # only clones need it, and every command would pay for loading it

    auto_init.initialise_clone(repo, layout_of(repo, config), config)
    return False


def _upgrade(repo: GitRepository, config: AnnexConfig) -> bool:
    """Upgrade where nobody has to be asked; whether anything was done. What does not work now is done another time."""
    from annexd.annex import upgrade  # a repository at the newest version need not load it

    layout = layout_of(repo, config)
    if not upgrade.is_due(layout, config):
        return False
    try:
        return bool(upgrade.upgrade(repo, layout, upgrade.Manner.AUTOMATIC).reached)
    except (AnnexError, OSError) as error:
        log.warning("upgrade.failed", repository=repo.top, reason=str(error))
        return False


def _trust_here(config: AnnexConfig) -> dict[UUID, TrustLevel]:
    levels = {level.name.lower(): level for level in TrustLevel}
    found = ((remote.uuid, levels.get(remote.trust_level or "")) for remote in config.remotes)
    return {uuid: level for uuid, level in found if uuid is not None and level is not None}
