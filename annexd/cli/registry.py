"""The list of all commands: name, group and one line of help each, without importing any of them.

A new command is one file in `commands/` (named like the command, "-" as "_") and one line here.
"""

from __future__ import annotations

import enum
import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from argparse import Namespace

    from annexd.cli.arguments import Parser
    from annexd.cli.invocation import Invocation


class Group(enum.Enum):
    """Heading under which `--help` lists a command."""

    DAEMON = "Daemon commands"
    COMMON = "Commonly used commands"
    SETUP = "Repository setup commands"
    MAINTENANCE = "Repository maintenance commands"
    QUERY = "Query commands"
    PLUMBING = "Plumbing commands"


class Entry(NamedTuple):
    """One command as the overview shows it."""

    name: str
    group: Group
    summary: str


class Command(Protocol):
    """What each file in `commands/` offers."""

    def configure(self, parser: Parser) -> None:
        """Declare the options."""

    def run(self, call: Invocation, options: Namespace) -> int:
        """Do the work; the exit status."""


COMMANDS: tuple[Entry, ...] = (
    Entry("run", Group.DAEMON, "sync this folder in the foreground until stopped"),
    Entry("start", Group.DAEMON, "start the daemon in the background"),
    Entry("stop", Group.DAEMON, "stop the daemon"),
    Entry("restart", Group.DAEMON, "stop the daemon, then start it again"),
    Entry("status", Group.DAEMON, "show what the daemon is doing"),
    Entry("pause", Group.DAEMON, "keep transfers from going on"),
    Entry("resume", Group.DAEMON, "let transfers go on that were paused"),
    Entry("cancel", Group.DAEMON, "give transfers up"),
    Entry("log", Group.DAEMON, "show the daemon's log, or where the content of files was"),
    Entry("accept", Group.DAEMON, "let out what the brake holds back"),
    Entry("revert", Group.DAEMON, "put back the files whose loss the brake holds back"),
    Entry("add", Group.COMMON, "add files to annex"),
    Entry("assist", Group.COMMON, "add files and sync changes with remotes"),
    Entry("conflicts", Group.COMMON, "list versions that conflicts left, and settle them"),
    Entry("copy", Group.COMMON, "copy content of files to/from another repository"),
    Entry("drop", Group.COMMON, "remove content of files from repository"),
    Entry("get", Group.COMMON, "get content of annexed files"),
    Entry("lock", Group.COMMON, "undo unlock command"),
    Entry("mirror", Group.COMMON, "mirror content of files to/from another repository"),
    Entry("move", Group.COMMON, "move content of files to/from another repository"),
    Entry("pull", Group.COMMON, "pull content from remotes"),
    Entry("push", Group.COMMON, "push content to remotes"),
    Entry("sync", Group.COMMON, "synchronize local repository with remotes"),
    Entry("undo", Group.COMMON, "take back the last change of files, or all since a moment"),
    Entry("unlock", Group.COMMON, "unlock files for modification"),
    Entry("adjust", Group.SETUP, "enter adjusted branch"),
    Entry("config", Group.SETUP, "configuration stored in git-annex branch"),
    Entry("dead", Group.SETUP, "hide a lost repository or key"),
    Entry("describe", Group.SETUP, "change description of a repository"),
    Entry("group", Group.SETUP, "add a repository to a group"),
    Entry("init", Group.SETUP, "initialize git-annex"),
    Entry("mincopies", Group.SETUP, "configure minimum number of copies"),
    Entry("numcopies", Group.SETUP, "configure desired number of copies"),
    Entry("reinit", Group.SETUP, "initialize repository, reusing old UUID"),
    Entry("required", Group.SETUP, "get or set required content expression"),
    Entry("semitrust", Group.SETUP, "return repository to default trust level"),
    Entry("trust", Group.SETUP, "trust a repository"),
    Entry("ungroup", Group.SETUP, "remove a repository from a group"),
    Entry("untrust", Group.SETUP, "do not trust a repository"),
    Entry("wanted", Group.SETUP, "get or set preferred content expression"),
    Entry("forget", Group.MAINTENANCE, "prune git-annex branch history"),
    Entry("fsck", Group.MAINTENANCE, "find and fix problems"),
    Entry("merge", Group.MAINTENANCE, "merge changes from remotes"),
    Entry("upgrade", Group.MAINTENANCE, "upgrade repository"),
    Entry("unannex", Group.MAINTENANCE, "undo accidental add command"),
    Entry("find", Group.QUERY, "lists available files"),
    Entry("info", Group.QUERY, "information about an item or the repository"),
    Entry("version", Group.QUERY, "show version info"),
    Entry("why", Group.QUERY, "why content is where it is, and what it waits for"),
    Entry("whereis", Group.QUERY, "lists repositories that have file content"),
    Entry("calckey", Group.PLUMBING, "calculate key for a file"),
    Entry("contentlocation", Group.PLUMBING, "looks up content for a key"),
    Entry("diffdriver", Group.PLUMBING, "git diff driver"),
    Entry("examinekey", Group.PLUMBING, "prints information from a key"),
    Entry("filter-process", Group.PLUMBING, "long running git filter process"),
    Entry("fromkey", Group.PLUMBING, "adds a file using a specific key"),
    Entry("lookupkey", Group.PLUMBING, "looks up key used for file"),
    Entry("post-receive", Group.PLUMBING, "run by git post-receive hook"),
    Entry("pre-commit", Group.PLUMBING, "run by git pre-commit hook"),
    Entry("pre-push", Group.PLUMBING, "run by git pre-push hook"),
    Entry("readpresentkey", Group.PLUMBING, "read records of where key is present"),
    Entry("resolvemerge", Group.PLUMBING, "resolve merge conflicts"),
    Entry("restage", Group.PLUMBING, "restages unlocked files in the git index"),
    Entry("setpresentkey", Group.PLUMBING, "change records of where key is present"),
    Entry("smudge", Group.PLUMBING, "git smudge filter"),
)


def find(name: str) -> Entry | None:
    """The command of this name."""
    return next((entry for entry in COMMANDS if entry.name == name), None)


def module_name(entry: Entry) -> str:
    """Name of the module in which the command lives."""
    return f"annexd.cli.commands.{entry.name.replace('-', '_')}"


def load(entry: Entry) -> Command:
    """Import the one command that is to run."""
    return cast(Command, importlib.import_module(module_name(entry)))
