"""Who commits, also where nobody told git."""

from __future__ import annotations

from annexd.annex.describe import host_name, user_name
from annexd.errors import ConfigError
from annexd.git.commit import Identity, read_identity
from annexd.git.repository import GitRepository


def identity_of(repo: GitRepository) -> Identity:
    """Author and committer; USER@HOST when git knows none: nobody should have to introduce themselves to keep files in
    sync. Runs git, so keep the answer.
    """
    try:
        return read_identity(repo)
    except ConfigError:
        somebody = b"%b <%b@%b>" % (user_name(), user_name(), host_name())
        return Identity(somebody, somebody)
