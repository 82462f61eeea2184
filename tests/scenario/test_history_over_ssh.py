"""Two folders that reach each other over ssh: their history is exchanged by git's own ssh, their content not yet."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import annexd as programs
from tests.support import sshd
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, make_pair


@pytest.fixture
def over_ssh(tmp_path: Path, clean_environment: dict[str, str], annex_oracle: Path) -> Iterator[Pair]:
    """Both daemons run; each is the other's remote over ssh."""
    if sshd.program() is None:
        pytest.skip("no sshd that would let this user in")
    with sshd.running(tmp_path / "sshd") as server:
        env = {**clean_environment, "GIT_SSH_COMMAND": f"ssh -F {server.config} -o BatchMode=yes"}
        (tmp_path / "pair").mkdir()
        ssh_home = Path(env["HOME"]) / ".ssh"
        ssh_home.mkdir(exist_ok=True)
        shutil.copy(server.config, ssh_home / "config")
        with make_pair(tmp_path / "pair", env) as pair:
            for side, name, other in ((pair.a, "b", pair.b), (pair.b, "a", pair.a)):
                side.git("remote", "set-url", name, f"ssh://test-host{other.repo}")
                side.git("config", f"remote.{name}.annex-shell", str(annex_oracle.with_name("git-annex-shell")))
            pair.start()
            yield pair


def test_history_goes_both_ways_and_the_status_says_that_content_does_not(over_ssh: Pair) -> None:
    pair = over_ssh
    for side in pair:
        side.write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
        side.write(f"from {side.repo.name}.txt", b"text that git keeps\n")
        side.write(f"annexed by {side.repo.name}", b"content\n")
    for side, other in ((pair.a, pair.b), (pair.b, pair.a)):
        name = other.repo.name
        eventually(lambda: side.has(f"from {name}.txt", b"text that git keeps\n"), SYNC_LIMIT, f"the text of {name}")  # noqa: B023
        eventually(lambda: f"annexed by {name}".encode() in side.committed(), SYNC_LIMIT, "the annexed file's name")  # noqa: B023
    pair.settle()
    shown = programs.Annexd(pair.a.env)(pair.a.repo, "status").out
    assert "only the git history is synced" in shown
    uuid = pair.b.git("config", "annex.uuid").strip()
    eventually(lambda: pair.a.status()["remotes"][0]["uuid"] == uuid.decode(), SYNC_LIMIT, "who the remote is")
    assert pair.a.git("config", "remote.b.annex-uuid").strip() == uuid
    started = time.monotonic()
    pair.a.write("again.txt", b"again\n")
    eventually(lambda: pair.b.has("again.txt", b"again\n"), SYNC_LIMIT, "a later change")
    print(f"{time.monotonic() - started:.2f} s over ssh")
    assert b"annexed by b" in pair.a.git("ls-tree", "-r", "--name-only", "main")


@pytest.mark.slow
def test_a_remote_that_cannot_be_reached_is_tried_again(over_ssh: Pair) -> None:
    pair = over_ssh
    pair.a.write("first.txt", b"first\n")
    eventually(lambda: pair.b.path("first.txt").is_symlink() or pair.b.path("first.txt").exists(), SYNC_LIMIT)
    aside = pair.b.repo.with_name("b-elsewhere")
    pair.b.stop()
    pair.b.repo.rename(aside)
    pair.a.write("meanwhile.txt", b"meanwhile\n")
    eventually(lambda: b"meanwhile.txt" in pair.a.committed(), SYNC_LIMIT)
    eventually(lambda: pair.a.status()["remotes"][0]["last_error"], SYNC_LIMIT, "the error")
    aside.rename(pair.b.repo)
    pair.b.start()
    eventually(lambda: b"meanwhile.txt" in pair.b.committed(), SYNC_LIMIT, "what was made meanwhile")
