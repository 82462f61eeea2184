"""Git repositories elsewhere: their history is synced by git itself, their content not yet."""

from __future__ import annotations

from annexd.remotes.contract import ContentSupport

CONTENT = ContentSupport("content over the network is not supported yet; only the git history is synced")
