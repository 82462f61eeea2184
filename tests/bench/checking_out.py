"""CHECKOUT: the work tree follows a merge that brings 10,000 unlocked files of 4 KiB whose content is here.

The floor is git's own checkout of the same files, kept in git itself as packed blobs: the same bytes and names, with no
annex between them. Beside it what git takes for as many pointer files, in the annex with the filter off.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from annexd.annex.checkout import apply_tree
from annexd.annex.commit import tree_of
from annexd.annex.state import AnnexState
from annexd.git.config import set_config
from annexd.threads.deadline import Deadline
from tests.bench.measure import Result
from tests.bench.workloads import FILES_PER_DIRECTORY, SMALL_SIZE
from tests.support.repositories import git

NO_FILTER = tuple(word for name in ("process", "clean", "smudge") for word in ("-c", f"filter.annex.{name}="))
WORKERS = (1, 2)


def checkout(top: Path, count: int, runs: int) -> list[Result]:
    """Rows for git, and for annexd with one worker, two, and as many as it takes by itself; runs are interleaved."""
    plain, annex = top / "plain", top / "annex"
    _make(plain, count, is_annex=False)
    _make(annex, count, is_annex=True)
    name = f"CHECKOUT {count} x 4 KiB"
    floor = Result(name, "floor: git checkout of plain files")
    pointers = Result(name, "git checkout of pointers, no filter")
    ours = {n: Result(name, f"annexd, checkout.workers={n}") for n in WORKERS}
    default = Result(name, "annexd")
    for _ in range(runs):
        floor.seconds.append(_by_git(plain))
        pointers.seconds.append(_by_git(annex))
        for workers, row in ours.items():
            _by_annexd(annex, count, row, workers)
        _by_annexd(annex, count, default, None)
    if default.median and floor.median and pointers.median:
        default.note = (
            f"{default.median / pointers.median:.2f} times git's own of the same tree (goal: 2), "
            f"{default.median / floor.median:.2f} times git's own of the same contents as plain files"
        )
    return [floor, pointers, *ours.values(), default]


def _make(repo: Path, count: int, *, is_annex: bool) -> None:
    repo.mkdir(parents=True)
    git(repo, "init", "-q")
    if is_annex:
        _annexd(repo, "init", "bench")
        git(repo, "config", "annex.addunlocked", "true")
    (repo / "first").write_bytes(b"first")
    git(repo, *NO_FILTER, "add", "first")
    git(repo, "commit", "-qm", "first")
    git(repo, "branch", "before")
    for number in range(count):
        directory = repo / f"d-{number // FILES_PER_DIRECTORY:03d}"
        directory.mkdir(exist_ok=True)
        (directory / f"{number:05d}.dat").write_bytes(os.urandom(SMALL_SIZE))
    if is_annex:
        _annexd(repo, "add", "--quiet")
    else:
        git(repo, "add", ".")
    git(repo, "commit", "-qm", "many")
    git(repo, "branch", "after")
    git(repo, "repack", "-adq")      # as they come from a fetch


def _annexd(repo: Path, *args: str) -> None:
    subprocess.run([sys.executable, "-m", "annexd", *args], cwd=repo, check=True, stdout=subprocess.DEVNULL)


def _by_git(repo: Path) -> float:
    git(repo, *NO_FILTER, "checkout", "-qf", "before")
    began = time.monotonic()
    git(repo, *NO_FILTER, "checkout", "-q", "after")
    return time.monotonic() - began


def _by_annexd(repo: Path, count: int, row: Result, workers: int | None) -> None:
    """In a process that runs already, as the daemon's does; its workers are started anew."""
    git(repo, *NO_FILTER, "checkout", "-qfB", "work", "before")
    with AnnexState.open(os.fsencode(repo)) as state:
        if workers is not None:
            set_config(state.repo, "checkout.workers", str(workers))
            state.reload_config()
        before, after = (state.refs.read(b"refs/heads/" + name) for name in (b"before", b"after"))
        assert before is not None and after is not None
        trees = tree_of(state.objects, before), tree_of(state.objects, after)
        used = os.times()
        began = time.monotonic()
        assert trees[1] is not None
        result = apply_tree(state, *trees, new_head=(b"refs/heads/work", before, after), deadline=Deadline(5))  # type: ignore[arg-type]
        row.seconds.append(time.monotonic() - began)
        state.checkout_workers.close()
        now = os.times()
        row.cpu = now.user + now.system + now.children_user + now.children_system - sum(used[:4])
    assert result.written == result.populated == count, "not all files were written with their content"
    if workers is not None:
        git(repo, "config", "--unset", "checkout.workers")
    _check(repo)


def _check(repo: Path) -> None:
    """git takes all of it for unchanged without looking into it: the filter it would use fails."""
    later = time.time() + 5
    os.utime(repo / ".git/index", (later, later))
    failing = ("-c", "filter.annex.clean=false", "-c", "filter.annex.process=", "-c", "filter.annex.required=true")
    assert git(repo, *failing, "status", "--porcelain") == b""
