"""annexd: a sync daemon for folders kept in git-annex."""

__version__ = "0.1.0"
