"""A transfer of ours and a git-annex beside it see each other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.remotes import registry
from annexd.remotes.contract import Remote
from annexd.transfer import perform, small_batch
from annexd.transfer.failed import FailedTransfers
from annexd.transfer.job import Direction, Job, Result
from annexd.transfer.meter import TransferMeter
from annexd.transfer.record import LocationRecorder
from tests.support.repositories import git, make_git_repo, make_removable

LARGE = os.urandom(1 << 16) * 40
SMALL = 12

pytestmark = pytest.mark.usefixtures("annex_oracle")


def run(repo: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git-annex", *args], cwd=repo, capture_output=True, text=True, timeout=60)


@pytest.fixture
def there(tmp_path: Path, here: Path) -> Iterator[Path]:
    git(tmp_path, "clone", "-q", str(here), "there")
    assert run(tmp_path / "there", "init", "there").returncode == 0
    git(here, "remote", "add", "there", str(tmp_path / "there"))
    return tmp_path / "there"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    repo = make_git_repo(tmp_path / "here")
    assert run(repo, "init", "here").returncode == 0
    (repo / "large").write_bytes(LARGE)
    for n in range(SMALL):
        (repo / f"small{n}").write_text(f"content {n}\n")
    assert run(repo, "add", ".").returncode == 0
    git(repo, "commit", "-q", "-m", "files")
    yield repo
    make_removable(tmp_path)


@pytest.fixture
def state(here: Path, there: Path) -> Iterator[AnnexState]:
    with AnnexState.open(os.fsencode(here)) as opened:
        yield opened


@pytest.fixture
def remote(state: AnnexState) -> Iterator[Remote]:
    (spec,) = registry.load_specs(state)
    opened = registry.open_remote(spec)
    yield opened
    opened.close()


def test_git_annex_sees_our_transfer_on_both_sides_and_does_not_do_it_too(
    state: AnnexState, remote: Remote, here: Path, there: Path
) -> None:
    (key,) = [key for key in state.store.all_keys() if key.size == len(LARGE)]
    seen: list[str] = []

    def look(_: int) -> None:
        if not seen:
            seen.extend(run(repo, "info", "--fast").stdout for repo in (here, there))
            seen.append(run(here, "copy", "large", "--to", "there").stderr)

    outcome = perform.upload(state, remote, key, b"large", meter=TransferMeter(on_progress=look))

    assert outcome.result is Result.TRANSFERRED
    assert "uploading large to there" in seen[0]
    assert "downloading large from" in seen[1]
    assert "transfer already in progress" in seen[2]
    assert run(there, "info", "--fast").stdout.count("downloading large") == 0


def test_what_we_moved_is_sound_for_git_annex(state: AnnexState, remote: Remote, here: Path, there: Path) -> None:
    keys = list(state.store.all_keys())
    small = [key for key in keys if key.size != len(LARGE)]
    assert {o.result for o in small_batch.upload(state, remote, small)} == {Result.TRANSFERRED}
    (large,) = set(keys) - set(small)
    assert perform.upload(state, remote, large).result is Result.TRANSFERRED
    recorder = LocationRecorder()
    uuid = remote.spec.uuid
    assert uuid is not None
    recorder.add([(key, uuid, Presence.PRESENT) for key in keys], remote.spec.path)
    recorder.flush(state.locations)

    assert run(here, "find", "--in", "there").stdout.count("\n") == SMALL + 1
    assert run(here, "fsck", "--from", "there").returncode == 0
    git(there, "fetch", "-q", "origin")
    fsck = run(there, "fsck")
    assert fsck.returncode == 0, fsck.stdout + fsck.stderr
    assert "fixing" not in fsck.stdout
    assert run(there, "find").stdout.count("\n") == SMALL + 1


def test_git_annex_clears_our_note_of_a_failed_transfer(
    state: AnnexState, remote: Remote, here: Path
) -> None:
    """It finds the note where its own would be, and removes it once the transfer is done."""
    failed = FailedTransfers(state.layout)
    (key,) = [key for key in state.store.all_keys() if key.size == len(LARGE)]
    uuid = remote.spec.uuid
    assert uuid is not None
    failed.record(Job(Direction.UPLOAD, key, (uuid,), b"large"), uuid, "no")
    note = Path(os.fsdecode(state.layout.failed_transfer(b"upload", uuid, key)))
    assert note.exists()
    done = run(here, "copy", "large", "--to", "there")
    assert done.returncode == 0, done.stderr
    assert not note.exists(), "git-annex removes the note of a transfer that succeeded"
