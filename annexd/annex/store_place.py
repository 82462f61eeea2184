"""What another process of ours has to know to open the object store that we have open."""

from __future__ import annotations

from dataclasses import dataclass

from annexd.annex.layout import RepoLayout
from annexd.annex.objects import ObjectStore, StoreConfig


@dataclass(frozen=True, slots=True)
class StorePlace:
    """One object store: where it is, and its settings. Can be pickled and compared."""

    layout: RepoLayout
    disk_reserve: int
    shared_repository: str | None
    crippled_file_system: bool
    freeze_command: str | None
    thaw_command: str | None

    @classmethod
    def of(cls, layout: RepoLayout, config: StoreConfig) -> StorePlace:
        """The store of a repository."""
        return cls(
            layout, config.disk_reserve, config.shared_repository, config.crippled_file_system,
            config.freeze_command, config.thaw_command,
        )  # fmt: skip

    def open(self) -> ObjectStore:
        """The store, for whoever calls."""
        return ObjectStore(self.layout, self)
