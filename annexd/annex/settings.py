"""What the git-annex branch says about repositories, and about all of them: one snapshot, for decisions."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from annexd.annex.branch import SETTINGS_LOGS, AnnexBranch, SettingsVersion
from annexd.formats.logs import config, group, numcopies, trust, uuid_based
from annexd.formats.logs import map as map_log
from annexd.formats.logs import remote as remote_log
from annexd.formats.logs.lines import lines_of
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.uuid import UUID

_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Settings:
    """A snapshot; `version` is that of the branch's logs that it was read from."""

    version: SettingsVersion = ()
    descriptions: Mapping[UUID, bytes] = field(default_factory=dict)
    """What people call each repository; these are all that ever were described."""
    trust_levels: Mapping[UUID, TrustLevel] = field(default_factory=dict)
    group_members: Mapping[UUID, frozenset[bytes]] = field(default_factory=dict)
    copies: tuple[int | None, int | None] = (None, None)
    """numcopies and mincopies."""
    config: Mapping[bytes, bytes] = field(default_factory=dict)
    """config.log."""
    remotes: Mapping[UUID, Mapping[str, str]] = field(default_factory=dict)
    """remote.log: the settings of special remotes."""
    expressions: Mapping[bytes, Mapping[UUID, bytes]] = field(default_factory=dict)
    """Preferred and required content, by the log's name."""
    group_wanted: Mapping[bytes, bytes] = field(default_factory=dict)
    damaged: Mapping[bytes, bytes] = field(default_factory=dict)
    """Logs that hold more than text, each with the first such line; what makes no sense in them is passed over."""

    @classmethod
    def load(
        cls, branch: AnnexBranch, version: SettingsVersion, trust_here: Mapping[UUID, TrustLevel] | None = None
    ) -> Settings:
        """Read the logs; `trust_here` are levels set in git config, which count more than the log's."""
        logs = branch.read_many(SETTINGS_LOGS)
        remotes = {
            uuid: {os.fsdecode(name): os.fsdecode(value) for name, value in settings.items()}
            for uuid, settings in remote_log.parse(logs.get(b"remote.log")).items()
        }
        return cls(
            version=version,
            descriptions=uuid_based.values(logs.get(b"uuid.log")),
            trust_levels=trust.parse(logs.get(b"trust.log")) | dict(trust_here or {}),
            group_members=group.parse(logs.get(b"group.log")),
            copies=(numcopies.parse(logs.get(b"numcopies.log")), numcopies.parse(logs.get(b"mincopies.log"))),
            config=config.parse(logs.get(b"config.log")),
            remotes=remotes,
            expressions={name: uuid_based.values(logs.get(name)) for name in _EXPRESSION_LOGS},
            group_wanted=map_log.values(logs.get(b"group-preferred-content.log")),
            damaged={name: odd for name, data in logs.items() if (odd := _first_odd_line(data)) is not None},
        )

    def trust(self, uuid: UUID) -> TrustLevel:
        """How far a repository is trusted."""
        return self.trust_levels.get(uuid, trust.DEFAULT)

    def groups(self, uuid: UUID) -> frozenset[bytes]:
        """The groups that a repository is in."""
        return self.group_members.get(uuid, frozenset())

    def numcopies(self) -> int | None:
        """How many copies there should be; None when it was never set."""
        return self.copies[0]

    def mincopies(self) -> int | None:
        """How many copies there must be at least; None when it was never set."""
        return self.copies[1]

    def wanted(self, uuid: UUID) -> bytes | None:
        """The preferred content expression of a repository; None when it has none."""
        return self.expressions.get(_WANTED, {}).get(uuid) or None

    def required(self, uuid: UUID) -> bytes | None:
        """The required content expression of a repository; None when it has none."""
        return self.expressions.get(_REQUIRED, {}).get(uuid) or None


def _first_odd_line(data: bytes) -> bytes | None:
    return next((line for line in lines_of(data) if _CONTROL.search(line)), None)


_WANTED = b"preferred-content.log"
_REQUIRED = b"required-content.log"
_EXPRESSION_LOGS = (_WANTED, _REQUIRED)
