"""Which grammar each file of the git-annex branch follows."""

from __future__ import annotations

import enum


class Grammar(enum.Enum):
    """The grammars, each with the module that reads it."""

    UUID_BASED = "uuid_based"
    UUID_FIRST_TIME = "uuid_first_time"
    MAP = "map"
    SINGLE = "single"
    PRESENCE = "presence"
    METADATA = "metadata"
    TRANSITIONS = "transitions"
    OTHER = "kept as it is"


_TOP_LEVEL = {
    b"uuid.log": Grammar.UUID_BASED,
    b"trust.log": Grammar.UUID_BASED,
    b"group.log": Grammar.UUID_BASED,
    b"preferred-content.log": Grammar.UUID_BASED,
    b"required-content.log": Grammar.UUID_BASED,
    b"schedule.log": Grammar.UUID_BASED,
    b"remote.log": Grammar.UUID_BASED,
    b"activity.log": Grammar.UUID_BASED,
    b"difference.log": Grammar.UUID_BASED,
    b"multicast.log": Grammar.UUID_BASED,
    b"numcopies.log": Grammar.SINGLE,
    b"mincopies.log": Grammar.SINGLE,
    b"config.log": Grammar.MAP,
    b"group-preferred-content.log": Grammar.MAP,
    b"export.log": Grammar.UUID_FIRST_TIME,
    b"maxsize.log": Grammar.UUID_FIRST_TIME,
    b"cluster.log": Grammar.UUID_FIRST_TIME,
    b"proxy.log": Grammar.UUID_FIRST_TIME,
    b"transitions.log": Grammar.TRANSITIONS,
}

_PER_KEY = {
    b".log": Grammar.PRESENCE,
    b".log.web": Grammar.PRESENCE,
    b".log.cnk": Grammar.MAP,
    b".log.rmt": Grammar.UUID_FIRST_TIME,
    b".log.cid": Grammar.UUID_FIRST_TIME,
    b".log.met": Grammar.METADATA,
    b".log.rmet": Grammar.METADATA,
}


def grammar_of(branch_path: bytes) -> Grammar:
    """The grammar of the file at this path of the branch; OTHER for files that are only carried along."""
    if b"/" not in branch_path:
        return _TOP_LEVEL.get(branch_path, Grammar.OTHER)
    name = branch_path[branch_path.rindex(b"/") + 1 :]
    mark = name.rfind(b".log")
    return _PER_KEY.get(name[mark:], Grammar.OTHER) if mark > 0 else Grammar.OTHER
