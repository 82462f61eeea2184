"""Settings that change while the daemon runs take effect without a restart."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from tests.support.annexd import Annexd
from tests.support.eventually import eventually
from tests.support.pair import SYNC_LIMIT, Pair, Side

SOON = 10.0     # seconds; a second on a machine that is not busy


@pytest.fixture
def running(pair: Pair) -> Pair:
    """Both sides with their daemons."""
    pair.start()
    return pair


def mode_of(side: Side, name: str) -> str:
    """git's mode of a file, once it is committed."""
    return eventually(lambda: side.committed().get(name.encode()), SYNC_LIMIT, f"{name} committed") or ""


def is_annexed(side: Side, name: str) -> bool:
    mode_of(side, name)
    return b"/annex/objects/" in side.git("cat-file", "blob", f"HEAD:{name}")


def test_a_gitignore_keeps_files_out_and_lets_them_in_when_it_changes(running: Pair) -> None:
    a, b = running
    a.write(".gitignore", b"*.tmp\n")
    eventually(lambda: b.has(".gitignore", b"*.tmp\n"), SYNC_LIMIT)
    a.write("x.tmp", b"ignored")
    running.assert_syncs("after ignored")
    assert b"x.tmp" not in a.committed()
    a.write(".gitignore", b"*.other\n")
    eventually(lambda: b.has("x.tmp", b"ignored"), SOON, "the file that is ignored no more")


def test_info_exclude_counts_too(running: Pair) -> None:
    a, _ = running
    (a.repo / ".git/info").mkdir(exist_ok=True)
    (a.repo / ".git/info/exclude").write_text("*.local\n")
    running.assert_syncs("first")       # the exclude file came before
    a.write("x.local", b"excluded")
    running.assert_syncs("second")
    assert b"x.local" not in a.committed()


def test_gitattributes_decide_at_once(running: Pair) -> None:
    a, b = running
    a.write(".gitattributes", b"*.txt annex.largefiles=nothing\n")
    eventually(lambda: b.has(".gitattributes", b"*.txt annex.largefiles=nothing\n"), SYNC_LIMIT)
    a.write("small.txt", b"in git")
    a.write("large.bin", b"in the annex")
    assert not is_annexed(a, "small.txt")
    assert is_annexed(a, "large.bin")


def test_largefiles_in_git_config_decides_at_once(running: Pair) -> None:
    a, _ = running
    a.git("config", "annex.largefiles", "largerthan=1kb")
    eventually(lambda: not is_annexed(a, _fresh(a)), SOON, "a small file in git")
    a.git("config", "--unset", "annex.largefiles")
    eventually(lambda: is_annexed(a, _fresh(a)), SOON, "a small file in the annex")


def test_addunlocked_false_locks_new_files(running: Pair) -> None:
    a, b = running
    a.git("config", "annex.addunlocked", "false")
    eventually(lambda: mode_of(a, _fresh(a)) == "120000", SOON, "a locked file")
    a.write("locked", b"locked content")
    assert mode_of(a, "locked") == "120000"
    eventually(lambda: b.has("locked", b"locked content"), SYNC_LIMIT, "content behind the link")
    assert a.path("locked").is_symlink()


def test_addunlocked_false_leaves_unlocked_what_is_unlocked(running: Pair) -> None:
    a, b = running
    a.write("edited", b"unlocked here")
    eventually(lambda: b.has("edited", b"unlocked here"), SYNC_LIMIT)
    b.git("config", "annex.addunlocked", "false")
    eventually(lambda: mode_of(b, _fresh(b)) == "120000", SOON, "a locked file")
    b.write("edited", b"edited there")
    eventually(lambda: a.has("edited", b"edited there"), SYNC_LIMIT)
    a.write("arrives", b"unlocked, too")
    eventually(lambda: b.has("arrives", b"unlocked, too"), SYNC_LIMIT)
    running.settle()
    assert b.committed()[b"edited"] == b.committed()[b"arrives"] == "100644"


def test_dotfiles_go_to_git_unless_told_otherwise(running: Pair) -> None:
    a, _ = running
    a.write(".dot", b"dot")
    assert not is_annexed(a, ".dot")
    a.git("config", "annex.dotfiles", "true")
    eventually(lambda: is_annexed(a, _fresh(a, ".dot")), SOON, "an annexed dotfile")


def test_autocommit_false_stops_committing_and_true_catches_up(running: Pair) -> None:
    a, b = running
    running.assert_syncs("before")
    a.git("config", "annex.autocommit", "false")
    eventually(lambda: _stays_uncommitted(a, _fresh(a)), SOON, "no more commits")
    a.write("waits", b"waits")
    a.git("config", "annex.autocommit", "true")
    eventually(lambda: b.has("waits", b"waits"), SOON, "what waited")


def test_a_setting_in_the_users_own_config_counts(pair: Pair) -> None:
    home = pair.a.repo.parent / "home"
    home.mkdir()
    mine = home / ".gitconfig"
    shutil.copy(os.environ.get("GIT_CONFIG_GLOBAL") or os.path.expanduser("~/.gitconfig"), mine)
    env = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(mine)}
    pair.a.start(**env)
    pair.b.start()
    pair.assert_syncs("before")
    with mine.open("a") as file:
        file.write("[annex]\n\taddunlocked = false\n")
    eventually(lambda: mode_of(pair.a, _fresh(pair.a)) == "120000", SOON, "a locked file")


def test_a_new_remote_is_synced_at_once(pair: Pair) -> None:
    a, b = pair
    for side in pair:
        for remote in side.git("remote").decode().split():
            side.git("remote", "remove", remote)
    pair.start()
    a.write("alone", b"alone")
    eventually(lambda: b"alone" in a.committed(), SYNC_LIMIT)
    a.git("remote", "add", "b", str(b.repo))
    eventually(lambda: b.has("alone", b"alone"), SOON, "the file at the new remote")


def test_a_remote_with_sync_off_gets_nothing_until_it_is_on(pair: Pair) -> None:
    a, b = pair
    a.git("config", "remote.b.annex-sync", "false")
    b.git("config", "remote.a.annex-sync", "false")
    pair.start()
    a.write("kept", b"kept")
    eventually(lambda: b"kept" in a.committed(), SYNC_LIMIT)
    assert b.git("for-each-ref", "refs/heads/synced/") == b""
    a.git("config", "remote.b.annex-sync", "true")
    eventually(lambda: b.has("kept", b"kept"), SOON, "the file once sync is on")


def test_a_remote_without_push_gets_nothing(pair: Pair) -> None:
    a, b = pair
    a.git("config", "remote.b.annex-push", "false")
    b.git("config", "remote.a.annex-pull", "false")
    pair.start()
    a.write("stays", b"stays")
    b.write("goes", b"goes")
    eventually(lambda: a.has("goes", b"goes"), SYNC_LIMIT)
    assert not b.has("stays", b"stays")


def test_annex_ignore_stops_content_but_not_history(pair: Pair) -> None:
    a, b = pair
    a.git("config", "remote.b.annex-ignore", "true")
    b.git("config", "remote.a.annex-ignore", "true")
    pair.start()
    a.write("pointer only", b"pointer only")
    eventually(lambda: b.path("pointer only").exists(), SYNC_LIMIT, "the file")
    assert b"/annex/objects/" in b.path("pointer only").read_bytes()
    a.git("config", "remote.b.annex-ignore", "false")
    eventually(lambda: b.has("pointer only", b"pointer only"), SOON, "the content")


def test_settings_that_are_wrong_are_told_and_not_used(running: Pair) -> None:
    a, _ = running
    a.git("config", "annex.delayadd", "soon")
    a.wait_for_alert("config", "annex.delayadd")
    running.assert_syncs("all the same")
    a.git("config", "--unset", "annex.delayadd")
    eventually(lambda: "config:" not in a.alerts(), SYNC_LIMIT, "the alert's end")


def test_sighup_reloads(running: Pair) -> None:
    a, _ = running
    assert a.running is not None
    a.running.process.send_signal(signal.SIGHUP)
    running.assert_syncs("after a reload")


def test_a_setting_in_the_git_annex_branch_counts(running: Pair) -> None:
    a, b = running
    running.assert_syncs("before")
    Annexd(b.env)(b.repo, "config", "--set", "annex.addunlocked", "false")
    eventually(lambda: mode_of(a, _fresh(a)) == "120000", SYNC_LIMIT, "a locked file")


def _fresh(side: Side, start: str = "fresh") -> str:
    """A file that was not there before, just written."""
    name = f"{start}-{os.urandom(4).hex()}"
    side.write(name, name.encode())
    return name


def _stays_uncommitted(side: Side, name: str) -> bool:
    """A later change of git's own, which the daemon sees, came and went without the file being committed."""
    try:
        eventually(lambda: name.encode() in side.committed(), 0.7)
    except AssertionError:
        return True
    return False


def test_delayadd_leaves_a_new_file_alone_for_a_while(running: Pair) -> None:
    a, b = running
    running.assert_syncs("at once")
    a.git("config", "annex.delayadd", "2")
    eventually(lambda: _stays_uncommitted(a, _fresh(a)), SOON, "files that wait")
    a.write("delayed", b"delayed")
    eventually(lambda: b.has("delayed", b"delayed"), SYNC_LIMIT, "the file in the end")


def test_an_adjusted_branch_of_an_unknown_kind_is_told(running: Pair) -> None:
    a, _ = running
    running.assert_syncs("before")
    a.git("checkout", "-q", "-b", "adjusted/main(enlightened)")
    a.wait_for_alert("adjusted")
