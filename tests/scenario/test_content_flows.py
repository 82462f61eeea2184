"""Content reaches everybody, whichever way and in whatever order news and content come.

Each of these was a bug of the git-annex assistant: files skipped in a fresh clone, chains of repositories, and drives
that bring the content of files that everybody knew already.

Two parts of the daemon find a source that a download waits for, and mostly either is enough: the merger, which asks
again for the keys whose location logs changed (`TransferRequests.news` in `Merger._tell_of_keys`), and the pass of
the transfer scanner over what changed (`TransferScanner._hear` plans it). With both switched off, and with them the
delta of a branch that moved (`Merger._on_head_moved`), these fail: the growing clone (in some of its attempts, as the
assistant did), the clone that no log told anything, deferred downloads after a kill, all three chains, both drives.
With the passes alone switched off: the clone that no log told anything, deferred downloads after a kill, the drive
whose neighbour sends.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from annexd.annex.location_log import Presence
from annexd.annex.state import AnnexState
from annexd.assistant.control import send, socket_path
from annexd.errors import UserError
from annexd.formats.key import Key
from annexd.formats.pointer import parse_pointer
from annexd.formats.uuid import UUID
from annexd.threads.deadline import Deadline
from tests.support import annexd as programs
from tests.support.eventually import eventually
from tests.support.many_keys import commit_keys
from tests.support.pair import Side
from tests.support.repositories import git, make_removable

LIMIT = 60.0

Make = Callable[[str], Side]


@pytest.fixture
def make(tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Make]:
    """make("b") is an annex of that name, without a daemon."""
    sides: list[Side] = []

    def make_side(name: str) -> Side:
        side = Side(tmp_path / name, clean_environment)
        sides.append(side)
        if not side.repo.exists():
            side.repo.mkdir()
            side.git("init", "-q")
            programs.Annexd(dict(clean_environment))(side.repo, "init", name)
        return side

    try:
        yield make_side
    except BaseException as error:
        for side in sides:
            error.add_note(f"--- the daemon of {side.repo.name} wrote:\n{side.log()}")
        raise
    finally:
        for side in sides:
            side.close()
        make_removable(tmp_path)


def connect(one: Side, other: Side) -> None:
    one.git("remote", "add", other.repo.name, str(other.repo))
    other.git("remote", "add", one.repo.name, str(one.repo))


def clone(make: Make, source: Side, name: str) -> Side:
    git(source.repo.parent, "clone", "-q", "-o", source.repo.name, str(source.repo), name)
    return make(name)


def state_of(side: Side) -> AnnexState:
    return AnnexState.open(os.fsencode(side.repo))


def locations(side: Side, key: Key) -> frozenset[UUID]:
    with state_of(side) as annex:
        return annex.locations.locations(key)


def commit_known_files(side: Side, contents: dict[bytes, bytes], *, present: bool) -> list[Key]:
    """Files in the branch; with their content here, or nowhere. No location log tells of them."""
    from tests.support.annexes import key_of, put

    with state_of(side) as annex:
        keys = [put(annex, data) if present else key_of(data) for data in contents.values()]
        commit_keys(annex, dict(zip(contents, keys, strict=True)))
    side.git("reset", "-q", "--hard")
    return keys


def control(side: Side, remote: str = "", *, do: str = "pause") -> None:
    """Transfers with that remote, or all, are paused or resumed."""
    with state_of(side) as annex:
        layout = annex.layout
    eventually(lambda: os.path.exists(socket_path(layout)), LIMIT)

    def is_done() -> bool:
        try:
            return bool(send(layout, {"do": do, "what": "remote" if remote else "all", "remote": remote}, Deadline(10)))
        except UserError as error:      # a daemon that has just begun does not know its remotes yet
            raise AssertionError(str(error)) from error

    eventually(is_done, LIMIT)


def is_pointer(side: Side, name: str) -> bool:
    path = side.path(name)
    return path.is_file() and path.stat().st_size < 1000 and parse_pointer(path.read_bytes()) is not None


def all_there(side: Side, contents: dict[str, bytes]) -> bool:
    missing = [name for name, data in contents.items() if not side.has(name, data)]
    assert not missing, f"{side.repo.name} lacks the content of {len(missing)} files: {missing[:5]}"
    return True


# -- a fresh clone


@pytest.mark.parametrize("attempt", range(3))
def test_a_fresh_clone_of_a_repository_that_keeps_growing_skips_no_file(make: Make, attempt: int) -> None:
    a = make("a")
    a.start()
    contents = {f"before/{n}": os.urandom(100 + n) for n in range(40)}
    for name, data in contents.items():
        a.write(name, data)
    eventually(lambda: len(a.committed()) >= (10, 25, 40)[attempt], LIMIT)
    b = clone(make, a, "b")
    a.git("remote", "add", "b", str(b.repo))
    a.git("config", "remote.b.annex-ignore", "true")        # so that the clone has to get the contents itself
    for n in range(20):
        contents[f"while/{n}"] = os.urandom(300 + n)
        a.write(f"while/{n}", contents[f"while/{n}"])
        if n == 5:
            b.start()
    eventually(lambda: all_there(b, contents), LIMIT, "all contents in the clone")


def test_a_fresh_clone_gets_what_no_log_told_of_when_it_was_made(make: Make) -> None:
    """The clone was made between the commit of the files and that of their location logs."""
    a = make("a")
    contents = {b"%d" % n: os.urandom(200 + n) for n in range(20)}
    commit_known_files(a, contents, present=True)
    b = clone(make, a, "b")
    b.start()
    eventually(lambda: b.status().get("transfers_deferred") == 20, LIMIT, "the deferred downloads")
    assert is_pointer(b, "3")
    a.git("remote", "add", "b", str(b.repo))
    a.start()
    eventually(lambda: all_there(b, {k.decode(): v for k, v in contents.items()}), LIMIT, "the contents in the clone")


def test_deferred_downloads_outlive_a_kill(make: Make) -> None:
    a = make("a")
    contents = {b"%d" % n: os.urandom(200 + n) for n in range(20)}
    commit_known_files(a, contents, present=True)
    b = clone(make, a, "b")
    b.start()
    eventually(lambda: b.status().get("transfers_deferred") == 20, LIMIT, "the deferred downloads")
    eventually(lambda: (b.repo / ".git/annex/annexd/scan-cursors").exists(), LIMIT, "the end of the scan")
    b.kill()
    with state_of(a) as annex:
        keys = list(annex.store.all_keys())
        annex.locations.record_many([(key, annex.uuid, Presence.PRESENT) for key in keys])
    b.start()
    eventually(lambda: all_there(b, {k.decode(): v for k, v in contents.items()}), LIMIT, "the contents in the clone")
    eventually(lambda: b.status().get("transfers_deferred") == 0, LIMIT)


@pytest.mark.parametrize("point", ["scan-before-cursor", "scan-after-cursor", "scan-before-cursor:1"])
def test_a_daemon_that_dies_while_it_notes_how_far_it_is_loses_nothing(make: Make, point: str) -> None:
    a = make("a")
    contents = {b"%d" % n: os.urandom(200 + n) for n in range(10)}
    keys = commit_known_files(a, contents, present=True)
    with state_of(a) as annex:
        annex.locations.record_many([(key, annex.uuid, Presence.PRESENT) for key in keys[:5]])
    b = clone(make, a, "b")
    expected = {name.decode(): data for name, data in contents.items()}
    dying = b.spawn(ANNEXD_FAULT=point)
    for n in range(20):
        if not dying.is_running():
            break
        b.write(f"from b {n}", b"%d" % n)       # the first note is made soon, others follow changes
        expected[f"from b {n}"] = b"%d" % n
        with suppress(AssertionError):
            eventually(lambda: not dying.is_running(), 3.0)
    assert dying.process.poll() == -9
    b.start()
    a.git("remote", "add", "b", str(b.repo))
    a.start()
    eventually(lambda: all_there(b, expected), LIMIT, "all contents at b")
    eventually(lambda: all_there(a, expected), LIMIT, "all contents at a")


# -- a chain


def test_content_goes_along_a_chain(make: Make) -> None:
    a, b, c = make("a"), make("b"), make("c")
    connect(a, b)
    connect(b, c)
    for side in (a, b, c):
        side.start()
    contents = {f"dir/{n}": os.urandom(100 + n) for n in range(30)}
    contents["large"] = os.urandom(3 << 20)
    for name, data in contents.items():
        a.write(name, data)
    for side in (b, c):
        eventually(lambda side=side: all_there(side, contents), LIMIT, f"the contents at {side.repo.name}")   # type: ignore[misc]
    back = os.urandom(1000)
    c.write("back", back)
    eventually(lambda: a.has("back", back), LIMIT, "the way back")


def test_content_goes_along_a_chain_whose_middle_is_slow(make: Make) -> None:
    """C hears of the files long before B has their content, and B sends nothing by itself: C has to ask."""
    a, b, c = make("a"), make("b"), make("c")
    connect(a, b)
    connect(b, c)
    for side in (a, b, c):
        side.start()
    for side in (a, b):
        control(side)
    control(b, "c")
    contents = {"large": os.urandom(3 << 20), "small": os.urandom(3000)}
    for name, data in contents.items():
        a.write(name, data)
    eventually(lambda: is_pointer(c, "large") and is_pointer(c, "small"), LIMIT, "the news at c")
    eventually(lambda: c.status().get("transfers_deferred") == 2, LIMIT, "the deferred downloads at c")
    assert is_pointer(b, "large")
    for side in (a, b):
        control(side, do="resume")
    eventually(lambda: all_there(c, contents), LIMIT, "the contents at c")


def test_what_the_middle_of_a_chain_gets_later_is_passed_on(make: Make) -> None:
    """Nobody commits anything when B gets the content: only location logs tell of it."""
    a, b, c = make("a"), make("b"), make("c")
    connect(a, b)
    connect(b, c)
    a.git("config", "remote.b.annex-push", "false")
    b.git("config", "remote.a.annex-pull", "false")
    for side in (a, b, c):
        side.start()
    contents = {f"{n}": os.urandom(500 + n) for n in range(10)}
    for name, data in contents.items():
        a.write(name, data)
    a.git("config", "remote.b.annex-push", "true")
    eventually(lambda: all_there(c, contents), LIMIT, "the contents at c")


# -- a drive


@pytest.mark.parametrize("who", ["c asks", "b sends"])
def test_a_drive_brings_content_of_files_that_everybody_knew(make: Make, who: str) -> None:
    drive = make("drive")
    contents = {b"photo %d" % n: os.urandom(1000 + n) for n in range(20)}
    keys = commit_known_files(drive, contents, present=True)
    with state_of(drive) as annex:
        annex.locations.record_many([(key, annex.uuid, Presence.PRESENT) for key in keys])
    b = clone(make, drive, "b")
    c = clone(make, drive, "c")
    c.git("remote", "remove", "drive")
    connect(b, c)
    aside = drive.repo.with_name("aside")
    drive.repo.rename(aside)
    b.start()
    c.start()
    eventually(lambda: _exchanged(b, c), LIMIT, "histories in step")
    heads = [side.git("rev-parse", "HEAD") for side in (b, c)]
    assert is_pointer(c, "photo 3")
    control(*((b, "c") if who == "c asks" else (c, "b")))

    aside.rename(drive.repo)
    expected = {name.decode(): data for name, data in contents.items()}
    eventually(lambda: all_there(b, expected), LIMIT, "the contents at b")
    eventually(lambda: all_there(c, expected), LIMIT, "the contents at c")
    assert heads == [side.git("rev-parse", "HEAD") for side in (b, c)], "no file changed"
    _check_logs(c, keys, 3)


def _exchanged(one: Side, other: Side) -> bool:
    tips = [side.git("rev-parse", "git-annex") for side in (one, other)]
    assert tips[0] == tips[1], f"tips of git-annex: {tips}"
    return True


def _check_logs(side: Side, keys: Sequence[Key], holders: int) -> None:
    def told() -> bool:
        known = [len(locations(side, key)) for key in keys]
        assert min(known) >= holders, f"holders by the log: {sorted(set(known))}"
        return True

    eventually(told, LIMIT, "the logs")
