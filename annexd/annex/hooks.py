"""The hooks that git calls so that annexed files stay in order, and those that people add for us to call.

Source: git-annex, hooks installed by `git annex init`.
"""

from __future__ import annotations

import enum
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from annexd.annex.layout import RepoLayout
from annexd.errors import ProcessError
from annexd.git.repository import GitRepository
from annexd.system.files import read_file, write_atomically
from annexd.system.processes import run

HOOK_MODE = 0o777
"""Less umask."""

POST_UPDATE = b"post-update-annex"
_POST_UPDATE_SECONDS = 60.0

_ALWAYS = "{annex} {command}\n"
_WHEN_KNOWN = "if {annex} {command} --help >/dev/null 2>&1; then {annex} {command}; fi\n"


class Hook(enum.Enum):
    """Hooks by git's name for them; each value is that name, the command, and how it is called."""

    PRE_COMMIT = (b"pre-commit", "pre-commit .", _ALWAYS)
    POST_RECEIVE = (b"post-receive", "post-receive", _WHEN_KNOWN)
    POST_CHECKOUT = (b"post-checkout", "smudge --update", _ALWAYS)
    POST_MERGE = (b"post-merge", "smudge --update", _ALWAYS)
    PRE_PUSH = (b"pre-push", "pre-push", _WHEN_KNOWN)

    @property
    def file_name(self) -> bytes:
        """git's name for the hook."""
        return self.value[0]

    def command(self, program: Program) -> str:
        """The line of shell that the hook is there for."""
        return self.value[2].format(annex=program.hook, command=self.value[1]).rstrip("\n")


FOR_WORK_TREES = tuple(Hook)
FOR_BARE = (Hook.PRE_PUSH,)


@dataclass(frozen=True, slots=True)
class Program:
    """What hooks and filters call: `hook` and `filter_command` are shell words, `name` says who set it up."""

    name: str
    hook: str
    filter_command: str


GIT_ANNEX = Program("git-annex", "git annex", "git-annex")


def installed_program(environ: Mapping[str, str] = os.environ) -> Program:
    """git-annex where it is installed, as then both programs serve the same hooks; else annexd."""
    path = environ.get("PATH")
    if shutil.which("git-annex", path=path):
        return GIT_ANNEX
    if shutil.which("annexd", path=path):
        return Program("annexd", "annexd", "annexd")
    beside = os.path.join(os.path.dirname(sys.executable), "annexd")
    if os.access(beside, os.X_OK):
        return _by_path(shlex.quote(beside))
    return _by_path(f"{shlex.quote(sys.executable)} -m annexd")


def hook_text(hook: Hook, program: Program) -> bytes:
    """The content of a hook file."""
    return f"#!/bin/sh\n# automatically configured by {program.name}\n{hook.command(program)}\n".encode()


def install_hooks(layout: RepoLayout, program: Program) -> list[Hook]:
    """Put the hooks in place; those that were left alone, as somebody wrote others. OSError."""
    left = []
    os.makedirs(layout.hooks_dir, exist_ok=True)
    for hook in FOR_BARE if layout.is_bare else FOR_WORK_TREES:
        path = layout.hooks_dir + b"/" + hook.file_name
        text = hook_text(hook, program)
        there = _read(path)
        if there == text:
            continue
        if there is not None and not _is_ours(there, hook):
            left.append(hook)
            continue
        write_atomically(path, text, mode=HOOK_MODE)
    return left


def run_post_update(repo: GitRepository, layout: RepoLayout) -> None:
    """Call the hook that wants to know of each change of the git-annex branch, if there is one.

    Waits up to a minute for it. It only gets told: its failure changes nothing.
    """
    path = layout.hooks_dir + b"/" + POST_UPDATE
    if os.access(path, os.X_OK):
        with suppress(ProcessError):
            run([path], cwd=repo.top, env=repo.environment({b"GIT_DIR": repo.git_dir}), timeout=_POST_UPDATE_SECONDS)


def _is_ours(text: bytes, hook: Hook) -> bool:
    """Whether a program wrote it, so that it may be put right for the program that is here now."""
    lines = text.splitlines()
    if len(lines) != 3 or not lines[1].startswith(b"# automatically configured by "):
        return False
    return hook.value[1].encode() in lines[2]


def _by_path(command: str) -> Program:
    return Program("annexd", command, command)


def _read(path: bytes) -> bytes | None:
    try:
        return read_file(path, limit=1 << 20)
    except FileNotFoundError:
        return None
