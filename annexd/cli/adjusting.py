"""What commands do for the adjusted branch that is checked out."""

from __future__ import annotations

import os
from collections.abc import Iterator

from annexd.cli.invocation import Invocation
from annexd.cli.key_seek import Item
from annexd.cli.staging import INDEX_SECONDS
from annexd.errors import AnnexError
from annexd.formats.adjustment import Hide, adjusted_branch
from annexd.formats.paths import display
from annexd.threads.deadline import Deadline

FAILED = "Updating adjusted branch failed."
SHOWN = 10      # files in the way that are named


def follow_adjusted(call: Invocation) -> None:
    """Take commits on the adjusted branch to the original one, and have it show what content is here. Tells errors."""
    from annexd.annex import adjust_log
    from annexd.annex.adjust import refresh

    annex = call.annex()
    if annex.layout.work_tree is None or adjusted_branch(annex.refs.head().ref) is None:
        return
    if call.presence_changed:
        call.presence_changed = False
        adjust_log.changed(annex.layout)
    try:
        blocked = refresh(annex, Deadline(INDEX_SECONDS)).blocked
    except (AnnexError, OSError) as problem:
        call.reporter.error(f"{FAILED} {problem}")
        call.reporter.failed()
        return
    if blocked:
        shown = ", ".join(display(path) for path in blocked[:SHOWN])
        call.reporter.error(f"{FAILED} Local changes are in the way: {shown}")


def follow_presence(call: Invocation) -> None:
    """Content came or went: show or hide it if annex.adjustedbranchrefresh says so, else note that it is due."""
    from annexd.annex import adjust_log

    annex = call.annex()
    branch = None if annex.layout.work_tree is None else adjusted_branch(annex.refs.head().ref)
    if branch is None or branch.adjustment.is_stable:
        return
    if annex.config.adjusted_branch_refresh:
        follow_adjusted(call)
    else:
        adjust_log.changed(annex.layout)


def hidden_items(call: Invocation) -> Iterator[Item] | None:
    """All files of the original branch, where the adjusted one that is checked out hides some; else None."""
    from annexd.annex.annexed_files import annexed, in_tree
    from annexd.cli.seek import places_of

    annex = call.annex()
    branch = None if annex.layout.work_tree is None else adjusted_branch(annex.refs.head().ref)
    if branch is None or branch.adjustment.hide is Hide.NOTHING:
        return None
    places = places_of(annex)
    files = annexed(annex, in_tree(annex, os.fsdecode(branch.basis)))
    return (Item(file.key, file.path, places.shown(file.path), file.mode) for file in files)
