"""The configuration that an annex acts on, typed and frozen; a reload makes a new one.

Source: git-annex, configuration settings and their defaults.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from annexd.annex.brake_settings import BrakeSettings
from annexd.errors import AnnexError, ConfigError
from annexd.formats.logs.difference import CONFIG_NAMES
from annexd.formats.units import parse_size
from annexd.formats.uuid import UUID
from annexd.git.config import GitConfig
from annexd.git.fidelity import Fidelity

DEFAULT_DISK_RESERVE = 100_000_000
DEFAULT_VERSION = 10
SUPPORTED_VERSIONS = frozenset((8, 9, 10))
TUNINGS = tuple(CONFIG_NAMES.values())


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """What git config says about one remote; None where it says nothing."""

    name: str
    url: str | None = None
    push_url: str | None = None
    uuid: UUID | None = None
    ignore: bool = False
    sync: bool = True
    pull: bool = True
    push: bool = True
    readonly: bool = False
    cost: float | None = None
    trust_level: str | None = None
    verify: bool = True
    speculate_present: bool = False
    is_private: bool = False
    retry: int | None = None
    settings: tuple[tuple[str, str], ...] = ()
    """All of remote.NAME.*, without that prefix, names in lower case."""

    def setting(self, name: str) -> str | None:
        """The value of remote.NAME.`name` (lower case), for what has no field here."""
        return next((value for key, value in self.settings if key == name), None)


@dataclass(frozen=True, slots=True)
class AnnexConfig:
    """Settings of one repository. Expressions are kept as text: who uses them compiles them.

    `from_config_log` names the settings that git config leaves to the git-annex branch.
    """

    uuid: UUID | None = None
    version: int | None = None
    backend: bytes | None = None
    large_files: str | None = None
    """annex.largefiles of git config alone: .gitattributes come between it and `shared_large_files`."""
    shared_large_files: str | None = None
    """annex.largefiles of config.log."""
    dotfiles: bool = False
    adjusted_branch_refresh: int = 0
    """annex.adjustedbranchrefresh: 0 for never, more for after commands that brought content or took it away."""
    add_unlocked: str | None = None
    """annex.addunlocked: a boolean or an expression; None when unset."""
    add_small_files: bool = True
    git_add_to_annex: bool = True
    max_extension_length: int = 4
    max_extensions: int = 2
    numcopies: int | None = None
    mincopies: int | None = None
    autocommit: bool = True
    sync_content: bool = False
    sync_only_annex: bool = False
    resolve_merge: bool = True
    always_commit: bool = True
    commit_message: str | None = None
    commit_message_command: str | None = None
    merge_annex_branches: bool = True
    signs_commits: bool = False
    """annex.allowsign, where commit.gpgsign asks for signatures."""
    is_private: bool = False
    thin: bool = False
    hardlink: bool = False
    support_unlocked: bool = True
    secure_hashes_only: bool = False
    disk_reserve: int = DEFAULT_DISK_RESERVE
    jobs: str | None = None
    retry: int = 0
    forward_retry: int = 5
    retry_delay: int = 1
    pidlock: bool = False
    crippled_file_system: bool = False
    symlinks: bool = True
    file_modes: bool = True
    ignore_case: bool = False
    shared_repository: str | None = None
    delay_add: float = 0.0
    startup_scan: bool = True
    auto_upgrade: bool = True
    freeze_command: str | None = None
    thaw_command: str | None = None
    checkout_workers: int | None = None
    """checkout.workers; None when unset."""
    checkout_threshold: int | None = None
    """checkout.thresholdForParallelism; None when unset."""
    normalises_line_ends: bool = False
    """Whether core.autocrlf has git change line ends of text files when it takes them in."""
    converts_line_ends: bool = False
    """Whether git config has git change line ends of text files when it checks them out."""
    attributes_file: bytes | None = None
    """core.attributesFile; None when unset."""
    tunings: tuple[str, ...] = ()
    """The annex.tune.* settings that are on."""
    brake: BrakeSettings | None = None
    remotes: tuple[RemoteConfig, ...] = ()
    private_uuids: frozenset[UUID] = frozenset()
    """Repositories about which nothing goes into the branch."""
    set_in_git: frozenset[str] = frozenset()
    """Names of the settings that could come from config.log too, but are set in git config."""

    @classmethod
    def load(cls, git: GitConfig) -> AnnexConfig:
        """The settings that git config holds. Raises ConfigError for a value that is not allowed."""
        uuid = _uuid(git.get_bytes("annex.uuid"))
        remotes = tuple(_remote(git, name) for name in git.remotes())
        is_private = git.get_bool("annex.private", False)
        backend = git.get_bytes("annex.backend")
        return cls(
            uuid=uuid,
            version=_optional_int(git, "annex.version"),
            backend=backend.split()[0] if backend and backend.split() else None,
            large_files=git.get("annex.largefiles"),
            dotfiles=git.get_bool("annex.dotfiles", False),
            adjusted_branch_refresh=_refresh(git.get("annex.adjustedbranchrefresh")),
            add_unlocked=git.get("annex.addunlocked"),
            add_small_files=git.get_bool("annex.addsmallfiles", True),
            git_add_to_annex=git.get_bool("annex.gitaddtoannex", True),
            max_extension_length=git.get_int("annex.maxextensionlength", 4),
            max_extensions=git.get_int("annex.maxextensions", 2),
            numcopies=_optional_int(git, "annex.numcopies"),
            mincopies=_optional_int(git, "annex.mincopies"),
            autocommit=git.get_bool("annex.autocommit", True),
            sync_content=git.get_bool("annex.synccontent", False),
            sync_only_annex=git.get_bool("annex.synconlyannex", False),
            resolve_merge=git.get_bool("annex.resolvemerge", True),
            always_commit=git.get_bool("annex.alwayscommit", True),
            commit_message=git.get("annex.commitmessage"),
            commit_message_command=git.get("annex.commitmessage-command"),
            merge_annex_branches=git.get_bool("annex.merge-annex-branches", True),
            signs_commits=git.get_bool("annex.allowsign", False) and git.get_bool("commit.gpgsign", False),
            is_private=is_private,
            thin=git.get_bool("annex.thin", False),
            hardlink=git.get_bool("annex.hardlink", False),
            support_unlocked=git.get_bool("annex.supportunlocked", True),
            secure_hashes_only=git.get_bool("annex.securehashesonly", False),
            disk_reserve=_size(git, "annex.diskreserve", DEFAULT_DISK_RESERVE),
            jobs=git.get("annex.jobs"),
            retry=git.get_int("annex.retry", 0),
            forward_retry=git.get_int("annex.forward-retry", 5),
            retry_delay=git.get_int("annex.retry-delay", 1),
            pidlock=git.get_bool("annex.pidlock", False),
            crippled_file_system=git.get_bool("annex.crippledfilesystem", False),
            symlinks=git.get_bool("core.symlinks", True),
            file_modes=git.get_bool("core.filemode", True),
            ignore_case=git.get_bool("core.ignorecase", False),
            shared_repository=git.get("core.sharedrepository"),
            delay_add=_seconds(git, "annex.delayadd"),
            startup_scan=git.get_bool("annex.startupscan", True),
            auto_upgrade=git.get_bool("annex.autoupgraderepository", True),
            freeze_command=git.get("annex.freezecontent-command"),
            thaw_command=git.get("annex.thawcontent-command"),
            checkout_workers=_optional_int(git, "checkout.workers"),
            checkout_threshold=_optional_int(git, "checkout.thresholdforparallelism"),
            normalises_line_ends=(git.get("core.autocrlf") or "").lower() == "input"
            or git.get_bool("core.autocrlf", False),
            converts_line_ends=_converts_line_ends(git),
            attributes_file=git.get_bytes("core.attributesfile"),
            tunings=tuple(name for name in TUNINGS if git.get_bool(name, False)),
            brake=BrakeSettings.load(git),
            remotes=remotes,
            private_uuids=_private(uuid, is_private, remotes),
            set_in_git=frozenset(name for name in _SHARED if git.get(name) is not None),
        )

    def with_config_log(self, shared: Mapping[bytes, bytes]) -> AnnexConfig:
        """These settings with config.log's values where git config has none.

        A value there that does not parse counts as unset: another repository wrote it.
        """
        changes: dict[str, bool | str] = {}
        for name, field in _SHARED.items():
            value = shared.get(name.encode())
            if not value or name in self.set_in_git:
                continue
            if field in _SHARED_TEXT:
                changes[field] = value.decode("utf-8", "surrogateescape")
            elif (parsed := _boolean(value)) is not None:
                changes[field] = parsed
        return replace(self, **changes) if changes else self  # type: ignore[arg-type]  # fields named in _SHARED

    @property
    def fidelity(self) -> Fidelity:
        """What the work tree keeps of modes, symlinks and case."""
        return Fidelity(self.file_modes, self.symlinks, not self.ignore_case)

    def remote(self, name: str) -> RemoteConfig | None:
        """The remote of that name."""
        return next((remote for remote in self.remotes if remote.name == name), None)


_SHARED_TEXT = frozenset(("add_unlocked", "shared_large_files"))
_SHARED = {
    "annex.largefiles": "shared_large_files",
    "annex.dotfiles": "dotfiles",
    "annex.addunlocked": "add_unlocked",
    "annex.autocommit": "autocommit",
    "annex.synccontent": "sync_content",
    "annex.synconlyannex": "sync_only_annex",
    "annex.resolvemerge": "resolve_merge",
    "annex.securehashesonly": "secure_hashes_only",
}
SHARED_SETTINGS = frozenset(_SHARED)
"""The names that config.log may hold. Source: git-annex, `git annex config`."""


def _remote(git: GitConfig, name: str) -> RemoteConfig:
    def flag(setting: str, default: bool) -> bool:
        return git.get_bool(f"remote.{name}.{setting}", default)

    settings = tuple((os.fsdecode(key), os.fsdecode(value)) for key, value in git.section(f"remote.{name}").items())
    return RemoteConfig(
        name=name,
        url=git.get(f"remote.{name}.url"),
        push_url=git.get(f"remote.{name}.pushurl"),
        uuid=_uuid(git.get_bytes(f"remote.{name}.annex-uuid")),
        ignore=flag("annex-ignore", False),
        sync=flag("annex-sync", True),
        pull=flag("annex-pull", True),
        push=flag("annex-push", True),
        readonly=flag("annex-readonly", False),
        cost=_cost(git, name),
        trust_level=git.get(f"remote.{name}.annex-trustlevel"),
        verify=flag("annex-verify", True),
        speculate_present=flag("annex-speculate-present", False),
        is_private=flag("annex-private", False),
        retry=_optional_int(git, f"remote.{name}.annex-retry"),
        settings=settings,
    )


def _private(uuid: UUID | None, is_private: bool, remotes: tuple[RemoteConfig, ...]) -> frozenset[UUID]:
    ours = {uuid} if is_private and uuid else set()
    return frozenset(ours | {remote.uuid for remote in remotes if remote.is_private and remote.uuid})


def _uuid(value: bytes | None) -> UUID | None:
    return UUID(value) if value else None


def _optional_int(git: GitConfig, name: str) -> int | None:
    return None if git.get(name) is None else git.get_int(name, 0)


def _converts_line_ends(git: GitConfig) -> bool:
    """Source: git, core.autocrlf (only "true" concerns checkouts) and core.eol."""
    auto = (git.get("core.autocrlf") or "false").lower()
    return (auto != "input" and git.get_bool("core.autocrlf", False)) or (git.get("core.eol") or "").lower() == "crlf"


def _refresh(value: str | None) -> int:
    """A number, or a boolean; what is neither counts as 0, as with git-annex."""
    text = (value or "0").strip()
    if text.isascii() and text.isdigit():
        return int(text)
    return 1 if _boolean(text.encode("utf-8", "surrogateescape")) else 0


def _size(git: GitConfig, name: str, default: int) -> int:
    text = git.get(name)
    if text is None:
        return default
    try:
        return parse_size(text)
    except AnnexError as problem:
        raise ConfigError(f"{name} is {text!r}, which is not a size", hint='use something like "1 gb"') from problem


def _seconds(git: GitConfig, name: str) -> float:
    return _number(git.get(name) or "0", name)


def _cost(git: GitConfig, remote: str) -> float | None:
    name = f"remote.{remote}.annex-cost"
    text = git.get(name)
    return None if text is None else _number(text, name)


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as problem:
        raise ConfigError(f"{name} is {text!r}, which is not a number") from problem


def _boolean(value: bytes) -> bool | None:
    text = value.strip().lower()
    if text in (b"true", b"yes", b"on", b"1"):
        return True
    if text in (b"false", b"no", b"off", b"0"):
        return False
    return None
