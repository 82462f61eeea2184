"""Many files written at once: who may write what, what workers find in their way, and what becomes of it all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annexd.annex import checkout as checkout_module
from annexd.annex import checkout_bulk, checkout_run, checkout_worker, checkout_workers
from annexd.annex.annexed_files import annexed, tracked
from annexd.annex.checkout_items import Item, Result, Site
from annexd.annex.checkout_recovery import recover_checkout
from annexd.annex.checkout_worker import COLLIDED, CONTENT, FAILED, TEXT, write_items
from annexd.annex.checkout_workers import CheckoutWorkers, worker_count
from annexd.annex.commit import stage, tree_of
from annexd.annex.recovery import recover
from annexd.annex.relock import unlock_files
from annexd.annex.state import AnnexState
from annexd.annex.worktree import populate
from annexd.formats.pointer import pointer_for
from annexd.git.index_format import IndexEntry, encode_record, packed_record
from annexd.git.objects import BLOB, object_id
from annexd.threads.deadline import Deadline
from tests.support.annexes import key_of, put
from tests.support.disks import case_insensitive
from tests.unit.annex.content_helpers import (
    File,
    add,
    check_out,
    locked,
    next_commit,
    read,
    status,
    top,
    unlocked,
    write,
)
from tests.unit.annex.helpers import git, make_annex, open_annex

MANY = 300


@pytest.fixture(autouse=True)
def start(state: AnnexState) -> None:
    """A first commit, and two workers for however few files."""
    add(state, {b"first": b"first"})
    configure(state, workers=2, threshold=1)


def configure(state: AnnexState, workers: int, threshold: int) -> None:
    """As git is told with `git config`."""
    git(top(state), "config", "checkout.workers", str(workers))
    git(top(state), "config", "checkout.thresholdForParallelism", str(threshold))
    state.reload_config()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Item, Result]]:
    """The items that workers, or who does their work, were given, and what became of them."""
    found: list[tuple[Item, Result]] = []
    original = checkout_bulk.Bulk.write

    def note(
        bulk: checkout_bulk.Bulk, count: int, item: Callable[[int], Item], then: Callable[[int, Result], None]
    ) -> None:
        items: dict[int, Item] = {}

        def make(number: int) -> Item:
            return items.setdefault(number, item(number))

        def tell(number: int, result: Result) -> None:
            found.append((items[number], result))
            then(number, result)

        original(bulk, count, make, tell)

    monkeypatch.setattr(checkout_bulk.Bulk, "write", note)
    return found


def data_of(number: int) -> bytes:
    """The content of a file."""
    return b"content %d" % number


def many(state: AnnexState) -> dict[bytes, File]:
    """Files of all kinds in several directories; the content of most is here."""
    files: dict[bytes, File] = {}
    for number in range(MANY):
        path = b"d%d/e%d/f%d" % (number // 100, number // 25, number)
        if number % 10 == 0:
            files[path] = (0o100755 if number % 20 else 0o100644, b"plain %d\n" % number)
        elif number % 10 == 1:
            files[path] = locked(state, path, data_of(number))
        else:
            files[path] = unlocked(data_of(number), executable=number % 3 == 0)
        if number % 10 != 2:
            put(state, data_of(number))
    return files


def check(state: AnnexState, files: dict[bytes, File]) -> None:
    """Each file is there, with its content as far as that is here; git finds nothing changed, and runs no filter."""
    assert status(state) == b""
    for number, (path, file) in enumerate(files.items()):
        assert file is not None
        place = top(state) / os.fsdecode(path)
        if file[0] == 0o120000:
            assert os.readlink(place) == os.fsdecode(file[1])
            continue
        expected = file[1] if number % 10 == 0 or number % 10 == 2 else data_of(number)
        assert place.read_bytes() == expected
        assert bool(place.stat().st_mode & 0o111) == (file[0] == 0o100755)


# -- files of a checkout


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_files_of_all_kinds_come_and_git_runs_no_filter_afterwards(
    state: AnnexState, seen: list[tuple[Item, Result]], workers: int
) -> None:
    configure(state, workers, 1)
    files = many(state)
    result = check_out(state, files)
    assert (result.written, len(result.missing)) == (MANY, MANY // 10)
    assert result.populated == MANY // 10 * 7
    check(state, files)
    assert {outcome for _, (outcome, _) in seen} == {CONTENT, TEXT}
    assert len(state.checkout_workers._workers) == (workers if workers > 1 else 0)


def test_files_are_replaced_and_removed_and_become_directories(state: AnnexState) -> None:
    check_out(state, many(state))
    put(state, b"other")
    changed: dict[bytes, File] = {b"d0/e0/f%d" % n: unlocked(b"other") for n in range(25)}
    changed |= {b"d1/e%d/f%d" % (n // 25, n): None for n in range(100, 200)}
    changed |= {b"d2/e8": None, b"d1": (0o100644, b"a file now\n")}
    changed |= {b"d2/e8/f%d/below" % n: unlocked(b"other") for n in range(200, 225)}
    changed |= {b"d2/e8/f%d" % n: None for n in range(200, 225)}
    changed.pop(b"d2/e8")
    check_out(state, changed)
    assert status(state) == b""
    assert read(state, b"d0/e0/f3") == read(state, b"d2/e8/f203/below") == b"other"
    assert os.listdir(top(state) / ".git/annex/annexd/tmp") == []


def test_large_files_and_those_of_unknown_size_appear_whole(state: AnnexState, seen: list[tuple[Item, Result]]) -> None:
    large = b"x" * (checkout_worker.SMALL + 1)
    put(state, large)
    unsized = key_of(b"unsized")._replace(size=None)
    state.store.put_bytes(b"unsized", unsized)
    check_out(state, {b"large": unlocked(large), b"unsized": (0o100644, pointer_for(unsized))})
    assert read(state, b"large") == large and read(state, b"unsized") == b"unsized"
    assert all(item.target.startswith(b"/") for item, _ in seen)
    assert status(state) == b""


def test_damaged_content_stays_a_pointer(state: AnnexState) -> None:
    key = key_of(b"whole")
    state.store.put_bytes(b"cut", key)
    assert check_out(state, {b"f": unlocked(b"whole")}).populated == 0
    assert read(state, b"f") == pointer_for(key)


def test_an_object_gets_one_other_name_and_no_more(state: AnnexState) -> None:
    git(top(state), "config", "annex.thin", "true")
    state.reload_config()
    put(state, b"thin")
    check_out(state, {b"%d" % n: unlocked(b"thin") for n in range(5)})
    links = sorted(os.stat(top(state) / str(n)).st_nlink for n in range(5))
    assert links == [1, 1, 1, 1, 2]
    assert all(os.access(top(state) / str(n), os.W_OK) for n in range(5))
    assert status(state) == b""


# -- who writes what


def test_symlinks_submodules_and_adopted_files_are_not_for_workers(
    state: AnnexState, seen: list[tuple[Item, Result]]
) -> None:
    commit = state.refs.head().oid
    assert commit is not None
    write(state, b"there", b"same\n")
    git(top(state), "update-index", "--add", "--cacheinfo", f"160000,{commit.hex()},sub")
    git(top(state), "commit", "-qm", "sub")
    state.reset()
    check_out(state, {
        b"link": (0o120000, b"first"), b"locked": locked(state, b"locked", b"first"), b"there": (0o100644, b"same\n"),
        b"plain": (0o100644, b"plain\n"), b"sub": None,
    })  # fmt: skip
    assert [item.target for item, _ in seen] == [b"plain"]


def test_symlinks_are_there_before_workers_begin(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    original = CheckoutWorkers.write

    def checked(workers: CheckoutWorkers, *args: object) -> None:
        assert os.path.islink(top(state) / "z-link")
        original(workers, *args)    # type: ignore[arg-type]

    monkeypatch.setattr(CheckoutWorkers, "write", checked)
    check_out(state, {b"a/plain": (0o100644, b"plain\n"), b"z-link": (0o120000, b"first")})
    assert read(state, b"a/plain") == b"plain\n"


@pytest.mark.parametrize(("count", "is_many"), [(9, False), (10, True)])
def test_below_the_threshold_nothing_is_started(
    state: AnnexState, seen: list[tuple[Item, Result]], count: int, is_many: bool
) -> None:
    configure(state, 2, 10)
    check_out(state, {b"%d" % n: (0o100644, b"plain\n") for n in range(count)})
    assert bool(seen) == is_many == state.checkout_workers.is_running()
    assert status(state) == b""


def test_unless_told_otherwise_few_files_start_no_workers_but_use_those_that_run(state: AnnexState) -> None:
    git(top(state), "config", "--unset", "checkout.thresholdForParallelism")
    state.reload_config()
    bulk = checkout_bulk.Bulk(state)
    assert not bulk.is_worth(checkout_bulk.THRESHOLD - 1)
    assert bulk.is_worth(checkout_bulk.THRESHOLD)
    assert bulk.is_worth(checkout_bulk.THRESHOLD_RUNNING)
    assert not bulk.is_worth(checkout_bulk.THRESHOLD_RUNNING - 1)


@pytest.mark.parametrize("configured", [None, 0, -1, 3])
def test_the_number_of_workers_is_that_of_processors_unless_configured(configured: int | None) -> None:
    processors = len(os.sched_getaffinity(0))
    expected = 3 if configured == 3 else processors if configured is not None else min(processors, 8)
    assert worker_count(configured) == expected


# -- what a worker does


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An empty work tree, and no objects."""
    (tmp_path / "top").mkdir()
    return Site(os.fsencode(tmp_path / "top"), os.fsencode(tmp_path / "objects"), 2, (0, 1), 0o022)


def outcomes(site: Site, *targets: bytes) -> list[int]:
    """What becomes of plain files of these names."""
    return [outcome for outcome, _ in write_items(site, [Item(target, False, b"new") for target in targets])]


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "directory", "fifo"])
def test_what_is_in_the_place_of_a_file_is_left_alone(site: Site, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "top/f"
    match kind:
        case "file":
            place.write_bytes(b"mine")
        case "link" | "dangling":
            place.symlink_to(tmp_path / "elsewhere")
            if kind == "link":
                (tmp_path / "elsewhere").write_bytes(b"mine")
        case "directory":
            place.mkdir()
        case _:
            os.mkfifo(place)
    before = os.lstat(place)
    assert outcomes(site, b"f", b"g") == [COLLIDED, TEXT]
    assert os.lstat(place) == before
    assert kind != "link" or (tmp_path / "elsewhere").read_bytes() == b"mine"
    assert kind != "dangling" or not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("kind", ["file", "link", "nothing"])
@pytest.mark.parametrize("depth", [0, 1])
def test_what_is_no_directory_on_the_way_is_not_passed(site: Site, tmp_path: Path, kind: str, depth: int) -> None:
    (tmp_path / "elsewhere/d").mkdir(parents=True)
    above = tmp_path / "top" / ("d" * depth)
    above.mkdir(exist_ok=True)
    if kind == "file":
        (above / "x").write_bytes(b"mine")
    elif kind == "link":
        (above / "x").symlink_to(tmp_path / "elsewhere")
    prefix = b"d/" * depth
    assert outcomes(site, prefix + b"x/f", prefix + b"x/d/f", prefix + b"g") == [COLLIDED, COLLIDED, TEXT]
    assert [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()] == []


def test_a_worker_finds_two_paths_that_are_one_file(site: Site, tmp_path: Path) -> None:
    results = write_items(site, [Item(b"f", False, b"one"), Item(b"f", False, b"two")])
    assert [outcome for outcome, _ in results] == [TEXT, COLLIDED]
    assert (tmp_path / "top/f").read_bytes() == b"one"


def test_results_hold_the_true_stat(site: Site, tmp_path: Path) -> None:
    ((_, detail),) = write_items(site, [Item(b"f", True, b"new")])
    found = os.lstat(tmp_path / "top/f")
    assert isinstance(detail, bytes)
    record = packed_record(b"f", 0o100755, object_id(BLOB, b"new"), detail)
    assert record == encode_record(IndexEntry.from_stat(b"f", 0o100755, object_id(BLOB, b"new"), found))


def full(*_: object) -> None:
    """The disk is full."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_worker_that_fails_removes_what_it_made_and_stops(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcomes(site, b"a") == [TEXT]
    monkeypatch.setattr(checkout_worker, "write_all", full)
    results = write_items(site, [Item(b"b", False, b"x"), Item(b"c", False, b"x")])
    assert results == [(FAILED, (errno.ENOSPC, "No space left on device"))]
    assert os.listdir(tmp_path / "top") == ["a"]


def test_a_worker_that_fails_leaves_alone_what_has_come_in_the_place_of_its_file(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(*_: object) -> None:
        (tmp_path / "new").write_bytes(b"mine")
        (tmp_path / "new").rename(tmp_path / "top/f")
        full()

    monkeypatch.setattr(checkout_worker, "write_all", replaced)
    assert write_items(site, [Item(b"f", False, b"x")])[0][0] == FAILED
    assert (tmp_path / "top/f").read_bytes() == b"mine"


def test_a_worker_whose_parent_is_gone_writes_no_more(site: Site, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        write_items(site, [Item(b"f", False, b"x")], parent=os.getppid() + 1)
    assert os.listdir(tmp_path / "top") == []


def test_an_idle_worker_ends(tmp_path: Path) -> None:
    code = "from annexd.annex.checkout_worker import main; main(0, 0.05)"
    read_end, write_end = os.pipe()
    try:
        done = subprocess.run([sys.executable, "-c", code], stdin=read_end, timeout=60)
    finally:
        os.close(read_end)
        os.close(write_end)
    assert done.returncode == 0


# -- what goes wrong


def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that takes upper and lower case for the same; the work of workers is done in this process."""
    from annexd.annex.work_files import WorkFiles

    write_new = checkout_worker.Writer._write_new
    monkeypatch.setattr(
        checkout_worker.Writer, "_write_new", lambda self, target, *rest: write_new(self, target.lower(), *rest)
    )
    for name, at in (("lstat", 0), ("place_new", 1), ("replace", 1), ("new_symlink", 1), ("make_directories", 0),
                     ("remove", 0), ("absolute", 0)):  # fmt: skip
        original = getattr(WorkFiles, name)

        def folded(self: WorkFiles, *args: object, original: Callable[..., object] = original, at: int = at) -> object:
            lower = list(args)
            lower[at] = lower[at].lower()   # type: ignore[attr-defined]
            return original(self, *lower)

        monkeypatch.setattr(WorkFiles, name, folded)


@pytest.mark.parametrize("threshold", [1, 100], ids=["many", "few"])
def test_of_paths_that_are_one_file_the_last_is_written(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, threshold: int
) -> None:
    configure(state, 1, threshold)
    for data in (b"one", b"two", b"three"):
        put(state, data)
    folding(monkeypatch)
    result = check_out(state, {b"D/A": unlocked(b"one"), b"D/a": unlocked(b"two"), b"d/A": unlocked(b"three")})
    assert result.written == 3 and result.collided == [b"D/a", b"d/A"]
    monkeypatch.undo()
    assert read(state, b"d/a") == b"three"
    assert not (top(state) / "D").exists()


@pytest.mark.parametrize("threshold", [1, 100], ids=["many", "few"])
def test_a_symlink_that_is_the_directory_of_another_path_gives_way_and_is_not_followed(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threshold: int
) -> None:
    configure(state, 1, threshold)
    (tmp_path / "elsewhere").mkdir()
    folding(monkeypatch)
    files: dict[bytes, File] = {b"A": (0o120000, os.fsencode(tmp_path / "elsewhere")), b"a/f": (0o100644, b"plain\n")}
    result = check_out(state, files)
    assert result.collided == [b"a/f"]
    assert os.listdir(tmp_path / "elsewhere") == []
    assert read(state, b"a/f") == b"plain\n"


def test_a_file_that_a_person_puts_there_meanwhile_stays_and_all_is_undone(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = CheckoutWorkers.write

    def person_first(workers: CheckoutWorkers, *args: object) -> None:
        write(state, b"d/7", b"mine")
        original(workers, *args)    # type: ignore[arg-type]

    monkeypatch.setattr(CheckoutWorkers, "write", person_first)
    with pytest.raises(Exception, match="appeared"):
        check_out(state, {b"d/%d" % n: (0o100644, b"plain\n") for n in range(20)})
    assert read(state, b"d/7") == b"mine"
    assert status(state) == b"?? d/\n"
    assert os.listdir(top(state) / "d") == ["7"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_of_a_worker_undoes_all(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    configure(state, workers, 1)
    original = checkout_run.Run._item

    def item(*args: object) -> Item:
        made = original(*args)      # type: ignore[arg-type]
        return made._replace(target=b"x" * 300) if made.target == b"d/250" else made

    monkeypatch.setattr(checkout_run.Run, "_item", item)
    with pytest.raises(OSError, match="too long"):
        check_out(state, {b"d/%d" % n: (0o100644, b"plain\n") for n in range(MANY)} | {b"first": (0o100644, b"x")})
    assert os.listdir(top(state)) in (["first", ".git"], [".git", "first"])
    assert read(state, b"first") == b"first"
    assert status(state) == b""


def test_the_work_of_workers_that_die_is_done(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    files = many(state)
    original = checkout_workers._Worker.send
    killed = []

    def send(worker: checkout_workers._Worker, on_result: object) -> bool:
        pid = worker.pid()
        if not killed and pid is not None:
            killed.append(pid)
            # What it leaves behind: a file that is whole, one that is not, one that is empty.
            write(state, b"d0/e0/f3", data_of(3))
            write(state, b"d0/e0/f4", data_of(4)[:5])
            write(state, b"d0/e0/f5", b"")
            write(state, b"d0/e0/f2", pointer_for(key_of(data_of(2)))[:20])
            os.kill(pid, signal.SIGKILL)
        return original(worker, on_result)  # type: ignore[arg-type]

    monkeypatch.setattr(checkout_workers._Worker, "send", send)
    result = check_out(state, files)
    assert killed and result.written == MANY and result.collided == []
    check(state, files)


def test_where_no_process_can_be_started_the_work_is_done_here(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = many(state)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert check_out(state, files).written == MANY
    check(state, files)


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", [0, 150, 260])
def test_a_checkout_that_was_killed_is_finished_cut_off_files_included(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    files = many(state)
    passes = iter(range(10_000))

    def reach(name: str) -> None:
        if name == "checkout-half" and next(passes) == at:
            raise Killed

    monkeypatch.setattr(checkout_run, "reach", reach)
    monkeypatch.setattr(checkout_module, "_back_out", lambda *_: None)
    with pytest.raises(Killed):
        check_out(state, files)
    monkeypatch.undo()
    made = [path for path in files if os.path.isfile(top(state) / os.fsdecode(path))]
    for number, path in enumerate(made):    # as a crash of the system leaves them
        if not os.path.islink(top(state) / os.fsdecode(path)):
            os.truncate(top(state) / os.fsdecode(path), number % 8)
    state.reset()
    assert recover_checkout(state) == ["finished a checkout that was cut off"]
    check(state, files)


CHECK_OUT = """
import os, sys
from annexd.annex.checkout import apply_tree
from annexd.annex.state import AnnexState
from annexd.threads.deadline import Deadline
top, ref, *oids = map(os.fsencode, sys.argv[1:])
old_tree, new_tree, old, new = (bytes.fromhex(oid.decode()) for oid in oids)
apply_tree(AnnexState.open(top), old_tree, new_tree, new_head=(ref, old, new), deadline=Deadline(5))
"""


@pytest.mark.parametrize("at", [0, 130])
def test_workers_of_a_process_that_was_killed_do_not_disturb_its_successor(state: AnnexState, at: int) -> None:
    files = many(state)
    commit, tree = next_commit(state, files)
    head = state.refs.head()
    assert head.ref is not None and head.oid is not None
    old_tree = tree_of(state.objects, head.oid)
    assert old_tree is not None
    oids = [oid.hex() for oid in (old_tree, tree, head.oid, commit)]
    command = [sys.executable, "-c", CHECK_OUT, str(top(state)), os.fsdecode(head.ref), *oids]
    done = subprocess.run(command, env=os.environ | {"ANNEXD_FAULT": f"checkout-half:{at}"}, timeout=60)
    assert done.returncode == -signal.SIGKILL
    state.reset()
    assert "finished a checkout that was cut off" in recover(state)
    check(state, files)


def test_what_a_crash_cut_off_goes_when_the_checkout_is_given_up(
    state: AnnexState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reach(_: str) -> None:
        raise Killed

    put(state, b"content")
    configure(state, 2, 100)
    monkeypatch.setattr(checkout_run, "reach", reach)
    monkeypatch.setattr(checkout_module, "_back_out", lambda *_: None)
    with pytest.raises(Killed):
        check_out(state, {b"%d" % n: unlocked(b"content") for n in range(4)})
    monkeypatch.undo()
    state.reset()
    assert read(state, b"0") == b"content"
    write(state, b"1", b"cont")
    write(state, b"2", b"")
    write(state, b"3", b"a person's own")
    assert recover_checkout(state)[0].startswith("gave up")
    assert sorted(os.listdir(top(state))) == [".git", "0", "3", "first"]


def test_work_is_given_out_in_stretches_of_neighbours_and_all_of_it_once() -> None:
    work = checkout_workers._Work(1000, lambda n: Item(b"%d" % n, False, b""), 2)
    first = work.next_chunk(0)
    assert first == range(checkout_workers.CHUNK) and work.next_chunk(1) == range(500, 500 + checkout_workers.CHUNK)
    given = [first, range(500, 500 + checkout_workers.CHUNK)]
    while chunk := work.next_chunk(0):      # the second worker is slow
        given.append(chunk)
    assert sorted(number for chunk in given for number in chunk) == list(range(1000))


def test_a_chunk_of_large_files_is_short() -> None:
    size = checkout_workers.CHUNK_BYTES // 2
    work = checkout_workers._Work(10, lambda n: Item(b"%d" % n, False, b"", b"k", b"k", size), 1)
    assert work.next_chunk(0) == range(2)


@pytest.fixture(autouse=True)
def no_worker_is_left(state: AnnexState) -> Iterator[None]:
    """Closing the state ends its workers."""
    yield
    pids = [worker.pid() for worker in state.checkout_workers._workers]
    state.close()
    assert not [pid for pid in pids if pid is not None and os.path.exists(f"/proc/{pid}")]


def test_interrupted_work_is_undone_too(state: AnnexState, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while workers write: what they still had under way is known when all is undone."""
    original = checkout_run.Run._written
    passes = iter(range(10_000))

    def written(*args: object) -> None:
        original(*args)     # type: ignore[arg-type]
        if next(passes) == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkout_run.Run, "_written", written)
    commit, tree = next_commit(state, {b"d/%d" % n: (0o100644, b"plain\n") for n in range(1000)})
    head = state.refs.head()
    assert head.ref is not None
    old = state.index.current().write_tree(state.objects)
    with pytest.raises(KeyboardInterrupt):
        checkout_module.apply_tree(state, old, tree, new_head=(head.ref, head.oid, commit), deadline=Deadline(0))
    assert sorted(os.listdir(top(state))) == [".git", "first"]
    assert status(state) == b""


# -- files that get their content, and files that are unlocked


def test_content_that_came_goes_into_many_pointers(state: AnnexState) -> None:
    check_out(state, {b"d/%d" % n: unlocked(data_of(n)) for n in range(MANY)})
    for number in range(MANY):
        if number % 50 != 7:
            put(state, data_of(number))
    state.store.put_bytes(b"cut", key_of(data_of(7)))
    write(state, b"d/8", b"mine")
    (top(state) / "d/9").unlink()
    result = populate(state, [key_of(data_of(n)) for n in range(MANY)])
    assert [path for path, _ in result.failed] == [b"d/7"]
    assert len(result.populated) == MANY - MANY // 50 - 2
    assert read(state, b"d/8") == b"mine" and read(state, b"d/10") == data_of(10)
    for number in (8, 9):       # git would have to look into the file that is another one now
        (top(state) / f"d/{number}").unlink(missing_ok=True)
    assert status(state) == b" D d/8\n D d/9\n"
    assert os.listdir(top(state) / ".git/annex/annexd/tmp") == []


def test_many_files_are_unlocked_at_once(state: AnnexState) -> None:
    files: dict[bytes, File] = {b"d/%d" % n: locked(state, b"d/%d" % n, data_of(n)) for n in range(MANY)}
    for number in range(1, MANY):
        put(state, data_of(number))
    check_out(state, files)
    (top(state) / "d/5").unlink()
    write(state, b"d/5", b"mine")
    updates = unlock_files(state, [file for file in annexed(state, tracked(state)) if not file.is_unlocked])
    assert len(updates) == MANY - 1 and b"d/5" not in updates
    stage(state, list(updates.values()), Deadline(5))
    assert read(state, b"d/0") == pointer_for(key_of(data_of(0))) and read(state, b"d/1") == data_of(1)
    assert status(state).split(b"\n")[0] == b"T  d/0"
    assert git(top(state), "diff-files", "--name-only") == b"d/5"


@pytest.mark.parametrize("threshold", [1, 100], ids=["many", "few"])
def test_where_case_makes_no_difference_the_last_of_two_files_is_there_and_git_is_told(
    tmp_path: Path, threshold: int
) -> None:
    with (
        case_insensitive(tmp_path / "image", tmp_path / "disk") as disk,
        open_annex(make_annex(disk / "annex")) as state,
    ):
        add(state, {b"first": b"first"})
        configure(state, 2, threshold)
        files: dict[bytes, File] = {b"D/%d" % n: unlocked(data_of(n)) for n in range(20)}
        for number in range(20):
            put(state, data_of(number))
        files |= {b"D/A": (0o100644, b"one\n"), b"D/a": (0o100644, b"two\n"), b"d/b": (0o100644, b"three\n")}
        result = check_out(state, files)
        assert result.written == 23 and result.collided == [b"D/A"]
        assert sorted(os.listdir(top(state) / "d")) == sorted([*map(str, range(20)), "a", "b"])
        assert read(state, b"D/A") == b"two\n" and read(state, b"D/7") == data_of(7)
        changed = git(top(state), "diff-files", "--name-only").split()
        assert b"D/7" not in changed and b"D/a" not in changed
