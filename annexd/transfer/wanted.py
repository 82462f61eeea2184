"""Preferred and required content, asked for one repository and one key."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from annexd.annex.settings import Settings
from annexd.annex.state import AnnexState
from annexd.backends import registry as backends
from annexd.formats import preferred_content as preferred
from annexd.formats.branch_paths import metadata_log
from annexd.formats.key import Key
from annexd.formats.logs import metadata
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.preferred_content import Expression
from annexd.formats.preferred_content_terms import NumCopiesFrom
from annexd.formats.uuid import UUID
from annexd.transfer.policy import Wants, WantsAll

DEFAULT_NUMCOPIES = 1
DEFAULT_PREFERRED_DIR = b"public"


class PreferredContent:
    """What repositories want, by the expressions in the git-annex branch; those without one want everything.

    Call it with a state to get an answerer that holds for as long as that state is the caller's. Expressions are read
    anew only when the branch's settings change; any thread may call, each with a state that is its own just then.
    """

    def __init__(self) -> None:
        self._read: tuple[object, Mapping[UUID, tuple[Expression, ...]]] | None = None      # replaced as a whole

    def __call__(self, annex: AnnexState) -> Wants:
        """The answers as of now."""
        settings = annex.settings
        known = self._read
        if known is None or known[0] != settings.version:
            known = self._read = (settings.version, _expressions(settings))
        return _Answers(annex, settings, known[1]) if known[1] else WantsAll()


def is_required(annex: AnnexState, uuid: UUID, key: Key, file: bytes | None) -> bool:
    """Whether the repository requires the content, so that it must not be dropped there.

    Source: git-annex, required content.
    """
    settings = annex.settings
    text = settings.required(uuid)
    if text is None:
        return False
    expression = preferred.for_repository(text, settings.groups(uuid), settings.group_wanted)
    return preferred.wants(expression, _Facts(annex, settings, uuid, key, file))


def _expressions(settings: Settings) -> dict[UUID, tuple[Expression, ...]]:
    """For each repository that prefers something its expressions: it wants what any of them does.

    Source: git-annex, required content counts as preferred.
    """
    found = {}
    for uuid in {uuid for by_uuid in settings.expressions.values() for uuid in by_uuid}:
        wanted = settings.wanted(uuid)
        if wanted is None:      # it prefers everything, whatever it requires
            continue
        texts = [text for text in (wanted, settings.required(uuid)) if text is not None]
        groups = settings.groups(uuid)
        found[uuid] = tuple(preferred.for_repository(text, groups, settings.group_wanted) for text in texts)
    return found


class _Answers:
    """Answers for one state."""

    def __init__(
        self, annex: AnnexState, settings: Settings, expressions: Mapping[UUID, tuple[Expression, ...]]
    ) -> None:
        self._annex = annex
        self._settings = settings
        self._expressions = expressions

    def wants(self, uuid: UUID, key: Key, file: bytes | None) -> bool:
        """Whether the repository wants the content."""
        expressions = self._expressions.get(uuid)
        if expressions is None:
            return True
        facts = _Facts(self._annex, self._settings, uuid, key, file)
        return any(preferred.wants(expression, facts) for expression in expressions)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of one key, looked up only when an expression asks."""

    annex: AnnexState
    settings: Settings
    uuid: UUID
    key: Key
    path: bytes | None

    @property
    def size(self) -> int | None:
        return self.key.size

    @property
    def backend(self) -> bytes:
        return self.key.backend

    @property
    def is_secure(self) -> bool:
        backend = backends.backend(self.key.backend)
        return backend is not None and backend.is_cryptographically_secure

    @property
    def is_present(self) -> bool:
        if self.uuid == self.annex.uuid:
            return self.annex.store.is_present(self.key)
        return self.uuid in self.locations()

    @property
    def is_unused(self) -> bool:
        return False        # what transfers are planned for is in a file

    @property
    def preferred_dir(self) -> bytes:
        setting = self.settings.remotes.get(self.uuid, {}).get("preferreddir")
        return DEFAULT_PREFERRED_DIR if setting is None else setting.encode("utf-8", "surrogateescape")

    def locations(self) -> Set[UUID]:
        levels = self.settings.trust_levels
        return {u for u in self.annex.locations.locations(self.key) if levels.get(u) is not TrustLevel.DEAD}

    def trust(self, uuid: UUID) -> TrustLevel:
        return self.settings.trust(uuid)

    def members(self, group: bytes) -> Set[UUID]:
        return {uuid for uuid, groups in self.settings.group_members.items() if group in groups}

    def numcopies(self, numcopies_from: NumCopiesFrom) -> int:  # noqa: ARG002  # attributes are not asked here
        return self.settings.numcopies() or self.annex.config.numcopies or DEFAULT_NUMCOPIES

    def metadata(self, field: bytes) -> Set[bytes]:
        path = metadata_log(self.key, self.annex.layout.branch_levels)
        return metadata.current(self.annex.branch.read(path)).get(field, frozenset())
