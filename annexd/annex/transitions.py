"""What a transition makes of the files of the git-annex branch: nothing, or everything about dead repositories goes.

Pure but for reading the files. Source: git-annex, transitions of the git-annex branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from annexd.annex.branch_trees import BranchTrees, Root
from annexd.errors import FormatError, RefusedError
from annexd.formats.branch_paths import key_of_location_log
from annexd.formats.logs import map as map_log
from annexd.formats.logs import metadata, presence, remote, transitions, trust, uuid_based, uuid_first_time
from annexd.formats.logs.lines import Entry
from annexd.formats.logs.registry import Grammar, grammar_of
from annexd.formats.logs.transitions import FORGET_DEAD_REMOTES, FORGET_GIT_HISTORY, Transition
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.paths import display
from annexd.formats.uuid import UUID

TRANSITIONS_LOG = b"transitions.log"

_TRUST_LOG = b"trust.log"
_REMOTE_LOG = b"remote.log"
_SAME_AS = b"sameas-uuid"
_DESCRIPTIONS = {FORGET_GIT_HISTORY: b"forget git history", FORGET_DEAD_REMOTES: b"forget dead remotes"}
_AT_ONCE = 2000

Wants = Callable[[bytes], bool]
"""Whether lines about the repository with this uuid stay."""


def read_strictly(data: bytes | None, whose: str) -> frozenset[Transition]:
    """The transitions in a log. Raises RefusedError for one that we do not know, FormatError."""
    try:
        found = transitions.parse(data)
    except FormatError as problem:
        raise FormatError(f"{whose} transitions.log is not readable: {problem.message}") from problem
    unknown = sorted({entry.name for entry in found if entry.name not in _DESCRIPTIONS})
    if unknown:
        names = display(b", ".join(unknown))
        raise RefusedError(f"unknown transitions listed in {whose} transitions.log ({names})", hint="upgrade annexd")
    return found


def names_of(found: Iterable[Transition]) -> list[bytes]:
    """Each kind once, in the order of their times."""
    return list(dict.fromkeys(entry.name for entry in transitions.in_order(found)))


def message(start: bytes, names: Iterable[bytes]) -> bytes:
    """The message of a commit that performs transitions of these kinds."""
    return start + b" " + b", ".join([_DESCRIPTIONS[name] for name in names])


def perform(trees: BranchTrees, root: Root, names: Iterable[bytes], levels: int) -> Root:
    """The tree after transitions of these kinds; new objects are pending until the object store is flushed.

    `levels` are those of the logs of keys.
    """
    if FORGET_DEAD_REMOTES not in set(names):
        return root
    trusted = trust.parse(trees.read(root, _TRUST_LOG))
    dead = {uuid for uuid, level in trusted.items() if level is TrustLevel.DEAD}
    if not dead:
        wants_configured: Wants = _everything
        wants: Wants = _everything
    else:
        configured = remote.parse(trees.read(root, _REMOTE_LOG))
        also = {uuid for uuid, settings in configured.items() if settings.get(_SAME_AS) in dead}
        wants_configured = _without(dead)
        wants = _without(dead | also)
    edit: dict[bytes, bytes | None] = {}
    paths = iter(list(trees.paths(root)))
    while some := list(islice(paths, _AT_ONCE)):
        for path, data in trees.read_many(root, some):
            new = _filtered(path, data, wants_configured, wants, levels)
            if new != data:
                edit[path] = new or None
    return trees.edited(root, edit)


def exported_trees(data: bytes | None) -> Iterator[str]:
    """The trees that export.log names, each once: the branch keeps git from losing them."""
    values = uuid_first_time.values(data)
    yield from dict.fromkeys(
        word.decode("ascii", "replace") for _, value in sorted(values.items()) for word in value.split()
    )


def _everything(_uuid: bytes) -> bool:
    return True


def _without(dead: set[UUID]) -> Wants:
    return lambda uuid: uuid not in dead


def _filtered(path: bytes, data: bytes, wants_configured: Wants, wants: Wants, levels: int) -> bytes:
    """The file without what is not wanted. trust.log stays: other clones may still tell of the dead."""
    if path == _TRUST_LOG:
        return data
    if path == _REMOTE_LOG:
        return _filtered_remotes(data, wants_configured, wants)
    match grammar_of(path):
        case Grammar.UUID_BASED:
            return uuid_based.format({uuid: entry for uuid, entry in uuid_based.parse(data).items() if wants(uuid)})
        case Grammar.UUID_FIRST_TIME:
            parsed = uuid_first_time.parse(data)
            return uuid_first_time.format({uuid: entry for uuid, entry in parsed.items() if wants(uuid)})
        case Grammar.PRESENCE if key_of_location_log(path, levels) is not None:
            newest = presence.compact(data)
            return presence.format([newest[info] for info in sorted(newest) if wants(info)])
        case Grammar.MAP if path.endswith(b".cnk"):
            fields = map_log.parse(data)
            return map_log.format({name: entry for name, entry in fields.items() if wants(name.rpartition(b":")[0])})
        case Grammar.METADATA if path.endswith(b".rmet"):
            return metadata.of_remotes(data, wants)
    return data


def _filtered_remotes(data: bytes, wants_configured: Wants, wants: Wants) -> bytes:
    """Of one that is the same as a dead one only that remains, so that what others say of it can be dropped, too."""
    kept = {}
    for uuid, entry in uuid_based.parse(data).items():
        if wants(uuid):
            kept[uuid] = entry
        elif wants_configured(uuid):
            settings = remote.parse_settings(entry.value)
            kept[uuid] = Entry(remote.format_settings({_SAME_AS: settings[_SAME_AS]}), entry.clock)
    return uuid_based.format(kept)
