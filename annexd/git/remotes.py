"""git remotes: which there are, fetching and pushing. The only home of GitPython, imported on first use.

Nothing here ever asks a person: no terminal, no askpass program, ssh in batch mode unless the user set it up otherwise.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, cast
from urllib.parse import unquote_to_bytes

from annexd.errors import RemoteError, RemoteRefused, RemoteUnavailable
from annexd.git.config import GitConfig
from annexd.git.process import LOCATION_VARIABLES
from annexd.git.repository import GitRepository
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal

# What a remote says when trying again will not help until a person does something.
_REFUSALS = (
    b"Permission denied (",
    b"Authentication failed",
    b"could not read Username",
    b"Host key verification failed",
    b"detected dubious ownership",
)


class GitRemote(NamedTuple):
    """A configured remote. URLs have url.*.insteadOf applied; bytes, as paths are."""

    name: str
    url: bytes
    push_url: bytes
    fetch: tuple[bytes, ...]

    def local_path(self, repo: GitRepository) -> bytes | None:
        """Absolute path of the repository if the fetch URL is one on this machine, by git's rule, else None."""
        return local_path(self.url, repo.top)


class PushResult(NamedTuple):
    """What became of one ref. `ref` is its name on the remote; `reason` is git's, such as "fetch first"."""

    ref: bytes
    ok: bool
    reason: str

    @property
    def rejected(self) -> bool:
        """Whether the remote has commits that we lack, so that fetching and merging first helps."""
        return not self.ok and self.reason in ("non-fast-forward", "fetch first", "stale info")


def list_remotes(config: GitConfig) -> list[GitRemote]:
    """Remotes that have a URL."""
    remotes = []
    for name in config.remotes():
        section = b"remote." + os.fsencode(name)
        urls = config.get_all(section + b".url")
        if not urls:
            continue
        push_urls = config.get_all(section + b".pushurl")
        url = _rewritten(config, urls[0], b".insteadof") or urls[0]
        if push_urls:
            push_url = _rewritten(config, push_urls[0], b".insteadof") or push_urls[0]
        else:
            push_url = _rewritten(config, urls[0], b".pushinsteadof") or url
        remotes.append(GitRemote(name, url, push_url, tuple(config.get_all(section + b".fetch"))))
    return remotes


def local_path(url: bytes, top: bytes) -> bytes | None:
    """The absolute path that a URL names on this machine, or None when it is elsewhere.

    A colon before the first slash makes it a host. Source: git, documentation of git-clone, "GIT URLS".
    """
    if url.startswith(b"file://"):
        return unquote_to_bytes(url[7:])
    colon, slash = url.find(b":"), url.find(b"/")
    if colon >= 0 and not 0 <= slash < colon:
        return None
    return os.path.normpath(os.path.join(top, url))


def fetch(
    repo: GitRepository,
    name: str,
    refspecs: Sequence[bytes] = (),
    *,
    deadline: Deadline | None = None,
    stop: StopSignal | None = None,
) -> None:
    """Fetch from a remote; its configured refspecs unless others are given. Blocks on the network.

    Ends early, with all of git's children killed, when `deadline` is over or `stop` is set.
    Raises RemoteUnavailable, RemoteRefused.
    """
    args = [b"fetch", b"--quiet", b"--no-recurse-submodules", b"--end-of-options", os.fsencode(name), *refspecs]
    returncode, _, stderr = _run(repo, args, deadline, stop)
    if returncode:
        raise _failure(name, "fetching from", stderr)


def push(
    repo: GitRepository,
    name: str,
    refspecs: Sequence[bytes],
    *,
    run_hooks: bool = True,
    deadline: Deadline | None = None,
    stop: StopSignal | None = None,
) -> list[PushResult]:
    """Push refspecs ("+" forces one) and tell what became of each; a rejected ref is a result, no error.

    Blocks on the network; ends early like `fetch`. Raises RemoteUnavailable, RemoteRefused.
    """
    args = [b"push", b"--porcelain", b"--no-recurse-submodules"]
    if not run_hooks:
        args.append(b"--no-verify")
    returncode, stdout, stderr = _run(repo, [*args, b"--end-of-options", os.fsencode(name), *refspecs], deadline, stop)
    results = parse_push_output(stdout)
    if returncode and all(result.ok for result in results):
        raise _failure(name, "pushing to", stderr)
    return results


def parse_push_output(output: bytes) -> list[PushResult]:
    """What `git push --porcelain` prints: FLAG tab FROM:TO tab SUMMARY [(REASON)] for each ref."""
    results = []
    for line in output.splitlines():
        flag, _, rest = line.partition(b"\t")
        refs, found, summary = rest.partition(b"\t")
        if len(flag) != 1 or not found:
            continue
        reason = summary.partition(b" (")[2].removesuffix(b")").decode("utf-8", "backslashreplace")
        results.append(PushResult(refs.rpartition(b":")[2], flag != b"!", reason))
    return results


def _rewritten(config: GitConfig, url: bytes, suffix: bytes) -> bytes | None:
    """`url` with the longest matching url.BASE.insteadOf (or pushInsteadOf) replaced by BASE."""
    best = (b"", b"")
    for name in config.section(b"url"):
        if name.endswith(suffix):
            base = name[: -len(suffix)]
            for prefix in config.get_all(b"url." + name):
                if url.startswith(prefix) and len(prefix) > len(best[0]):
                    best = (prefix, base)
    return best[1] + url[len(best[0]) :] if best[0] else None


def _run(
    repo: GitRepository, args: Sequence[bytes], deadline: Deadline | None, stop: StopSignal | None
) -> tuple[int, bytes, bytes]:
    from git.cmd import Git
    from git.exc import GitCommandNotFound

    try:
        # A session of its own: no terminal to ask on, and one group to kill, ssh included.
        running = Git(os.fsdecode(repo.top)).execute(
            _command(repo, args), as_process=True, env=_environment(repo), start_new_session=True
        )
    except GitCommandNotFound as e:
        raise RemoteError(str(e), hint="is git installed?") from e
    child = cast("subprocess.Popen[bytes]", running.proc)
    forget = stop.on_stop(lambda: _kill(child)) if stop else None
    try:
        stdout, stderr = child.communicate(timeout=deadline.remaining() if deadline else None)
    except subprocess.TimeoutExpired:
        _kill(child)
        child.communicate()
        raise RemoteUnavailable(f"git {os.fsdecode(args[0])} took too long") from None
    except BaseException:
        _kill(child)
        child.wait()
        raise
    finally:
        if forget:
            forget()
    if stop and stop.is_set() and child.returncode < 0:
        raise RemoteUnavailable(f"git {os.fsdecode(args[0])} was stopped on request")
    return child.returncode, stdout, stderr


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def _command(repo: GitRepository, args: Sequence[bytes]) -> list[str]:
    present = [name for name in LOCATION_VARIABLES if name in os.environb]
    # GitPython only adds to our environment; what an enclosing git command left there must go.
    clean = [b"env", *(b"--unset=" + name for name in present)] if present else []
    return [os.fsdecode(word) for word in (*clean, *repo.argv(*args))]


def _environment(repo: GitRepository) -> Mapping[str, str]:
    env = {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "false",
        "SSH_ASKPASS": "false",
        "SSH_ASKPASS_REQUIRE": "never",
        "GIT_OPTIONAL_LOCKS": "0",
    }
    chosen = "GIT_SSH_COMMAND" in os.environ or "GIT_SSH" in os.environ
    if not chosen and repo.complete(b"config", b"--get", b"core.sshCommand").returncode:
        env["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes"
    return env


def _failure(name: str, doing: str, stderr: bytes) -> RemoteError:
    text = stderr.decode("utf-8", "backslashreplace").strip()
    kind = RemoteRefused if any(refusal in stderr for refusal in _REFUSALS) else RemoteUnavailable
    return kind(f"{doing} {name} failed: {text}")
