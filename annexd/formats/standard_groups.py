"""The preferred content of the groups that git-annex knows.

Source: git-annex, standard groups; every repository must read "standard" alike.
"""

from __future__ import annotations

from collections.abc import Set

_LAST_RESORT = "({}) or approxlackingcopies=1"
"""Content that has too few copies is wanted by nearly all."""

_NOT_ARCHIVED = "not (copies=archive:1 or copies=smallarchive:1)"
_CLIENT = _LAST_RESORT.format(f"include=* and ((exclude=*/archive/* and exclude=archive/*) or ({_NOT_ARCHIVED}))")
_ARCHIVE = _LAST_RESORT.format(_NOT_ARCHIVED)

STANDARD = {
    b"client": _CLIENT,
    b"transfer": _LAST_RESORT.format(f"not (inallgroup=client and copies=client:2) and ({_CLIENT})"),
    b"backup": "anything",
    b"incrementalbackup": _LAST_RESORT.format("(not copies=backup:1) and (not copies=incrementalbackup:1)"),
    b"smallarchive": _LAST_RESORT.format(f"(include=*/archive/* or include=archive/*) and ({_ARCHIVE})"),
    b"archive": _ARCHIVE,
    b"source": "not (copies=1)",
    b"manual": f"present and ({_CLIENT})",
    b"public": "inpreferreddir",
    b"unwanted": "not anything",
}
"""Expression of each group, by its name."""


def standard_expression(groups: Set[bytes]) -> str | None:
    """What "standard" means for a repository in these groups; None unless just one of them is a standard group."""
    known = [STANDARD[group] for group in groups if group in STANDARD]
    return known[0] if len(known) == 1 else None
