"""Tuned repositories: they keep objects or logs elsewhere, so only those that are tuned alike may be merged.

How a repository is tuned is in its git config (annex.tune.*); what others know of that is in difference.log.
Source: git-annex, difference.log and annex.tune.*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from annexd.annex.config import AnnexConfig
from annexd.errors import DifferencesRefused
from annexd.formats.logs import difference, uuid_based
from annexd.formats.logs.difference import CONFIG_NAMES, Difference, Differences
from annexd.formats.paths import display
from annexd.formats.uuid import UUID

DIFFERENCE_LOG = b"difference.log"
REMEDY = (
    "the histories cannot be combined: remove the remote, and copy its files into a clone of this repository; "
    "tunings can only be chosen when an annex is first made"
)

SHOWN = 3       # repositories that a message names


class Decision(NamedTuple):
    """How a repository is to be tuned, and what to tell the person about that; `record` None: leave the log alone."""

    differences: Differences
    record: Differences | None
    warning: str = ""


def of_config(config: AnnexConfig) -> Differences:
    """How the repository is tuned."""
    return Differences(frozenset(kind for kind, name in CONFIG_NAMES.items() if name in config.tunings))


def config_names(differences: Differences) -> tuple[str, ...]:
    """The settings that are on in a repository tuned like this, in git-annex's order."""
    return tuple(CONFIG_NAMES[kind] for kind in Difference if kind in differences.known)


def describe(differences: Differences) -> str:
    """For people: "tuned (ObjectHashLower)", "not tuned"."""
    if differences.has_unknown:
        return "tuned in a way that is not known here"
    names = ", ".join(kind.value.decode() for kind in Difference if kind in differences.known)
    return f"tuned ({names})" if names else "not tuned"


def check_own(config: AnnexConfig, data: bytes | None) -> None:
    """Raise DifferencesRefused when our own difference.log, with content `data`, is not what git config says."""
    ours, logged = of_config(config), difference.parse(data)
    if ours.fits(logged):
        return
    if logged.has_unknown:
        hint = "upgrade annexd; or see the file difference.log of the git-annex branch"
    elif missing := config_names(Differences(logged.known - ours.known)):
        hint = "set back what was lost from git config: " + ", ".join(f"git config {name} true" for name in missing)
    else:
        extra = config_names(Differences(ours.known - logged.known))
        hint = "an annex that exists cannot be tuned; remove from git config: " + ", ".join(extra)
    raise DifferencesRefused(
        f"git config says that this repository is {describe(ours)}, but the file difference.log of its git-annex "
        f"branch that it is {describe(logged)}",
        hint=hint,
    )


def why_apart(
    ours: Differences, our_name: str, data: bytes | None, descriptions: Mapping[UUID, bytes], where: str
) -> str:
    """Why a branch with this difference.log must not be merged with ours, naming both sides; "" when it may be.

    `descriptions` are from that branch's uuid.log.
    """
    if ours.fits(difference.parse(data)):
        return ""
    logged = {uuid: difference.parse_value(entry.value) for uuid, entry in uuid_based.parse(data).items()}
    others = {uuid: theirs for uuid, theirs in logged.items() if not ours.fits(theirs)}
    if others:
        some = sorted(others.items())[:SHOWN]
        shown = [f"{_name(uuid, descriptions)} is {describe(theirs)}" for uuid, theirs in some]
        more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        they = ", ".join(shown) + more
    else:
        names = sorted(_name(uuid, descriptions) for uuid in descriptions if uuid not in logged)
        shown_names = f" ({', '.join(names[:SHOWN])})" if names else ""
        they = f"{where}{shown_names} is {describe(difference.parse(data))}"
    return f"{they}, but this repository, {our_name}, is {describe(ours)}; they keep files in different places"


def _name(uuid: UUID, descriptions: Mapping[UUID, bytes]) -> str:
    described = descriptions.get(uuid)
    return f"{display(uuid)} [{display(described)}]" if described else display(uuid)


def decide(
    wanted: Differences, own_uuid: UUID, *, is_first_init: bool, log: bytes | None, uuid_log: bytes | None
) -> Decision:
    """How a repository that is being initialised is tuned; `wanted` is what git config says.

    Raises DifferencesRefused when others are tuned in a way that we do not know.
    Source: git-annex, `git annex init`.
    """
    others = difference.parse(log)
    if others.has_unknown:
        raise DifferencesRefused(
            f"this annex is {describe(others)} (difference.log)", hint="upgrade annexd, or use git-annex here"
        )
    together = difference.union((others, wanted))
    if together == difference.NONE:
        return Decision(difference.NONE, None)
    if not is_first_init:
        entry = uuid_based.parse(log).get(own_uuid)
        before = difference.NONE if entry is None else difference.parse_value(entry.value)
        same = before == together
        warning = "" if same else "Cannot change tunable parameters in already initialized repository."
        return Decision(before, None if same else before, warning)
    if others == difference.NONE:
        if any(uuid != own_uuid for uuid in uuid_based.parse(uuid_log)):
            warning = "Cannot change tunable parameters in a clone of an existing repository."
            return Decision(difference.NONE, difference.NONE, warning)
        return Decision(together, together)
    if others != together:
        warning = "The specified tunable parameters differ from values being used in other clones of this repository."
        return Decision(others, others, warning)
    return Decision(others, others)
