"""Many small files are taken in by another process, and what is not plain is left to us."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from annexd.annex import ingest_worker
from annexd.annex.ingest import IngestOptions
from annexd.annex.ingest_worker import IngestWorker, Request, Setup
from annexd.annex.state import AnnexState
from annexd.annex.store_place import StorePlace
from annexd.formats.key import Key
from annexd.formats.pointer import pointer_for
from tests.support.annexes import content, key_of, make_annex
from tests.support.eventually import eventually
from tests.support.repositories import make_removable

LIMIT = 20.0
MANY = ingest_worker.WORTH_A_START


@pytest.fixture
def annex(tmp_path: Path) -> Iterator[AnnexState]:
    with make_annex(tmp_path / "here") as state:
        yield state
    make_removable(tmp_path)


@pytest.fixture
def setup(annex: AnnexState) -> Setup:
    return Setup(StorePlace.of(annex.layout, annex.config), IngestOptions())


@pytest.fixture
def worker(setup: Setup) -> Iterator[IngestWorker]:
    made = IngestWorker()
    assert not made.prepare(setup, MANY), "it is not up yet, and is not waited for"
    eventually(lambda: made.prepare(setup, 1), LIMIT)
    yield made
    made.close()


def request(path: Path, backend: bytes = b"SHA256E") -> Request:
    return Request(os.fsencode(path), backend, os.lstat(path))


def taken(worker: IngestWorker, requests: Sequence[Request]) -> list[Key | None]:
    worker.begin(requests)
    return worker.finish(len(requests))


def test_a_plain_file_is_stored_under_the_key_that_it_gets_everywhere(
    annex: AnnexState, worker: IngestWorker, tmp_path: Path
) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"hello")
    path.chmod(0o755)
    (key,) = taken(worker, [request(path)])
    assert key == Key(b"SHA256E", hashlib.sha256(b"hello").hexdigest().encode() + b".tar.gz", 5)
    assert content(annex, key) == b"hello"
    place = annex.store.locate(key)
    assert place is not None
    assert os.stat(place).st_mode & 0o777 == 0o555


def test_what_is_not_plain_is_left_alone(annex: AnnexState, worker: IngestWorker, tmp_path: Path) -> None:
    names = ["good", "pointer", "changed", "touched", "empty", "gone", "fifo", "link", "odd", "large"]
    paths = {name: tmp_path / name for name in names}
    for name, path in paths.items():
        path.write_bytes(b"" if name == "empty" else name.encode())
    paths["pointer"].write_bytes(pointer_for(key_of(b"x")))
    with paths["large"].open("r+b") as file:
        file.truncate((1 << 20) + 1)
    requests = [request(paths[name], b"NONSENSE" if name == "odd" else b"SHA256E") for name in names]
    paths["changed"].write_bytes(b"something longer")
    paths["touched"].chmod(0o600 if paths["touched"].stat().st_mode & 0o077 else 0o644)
    paths["gone"].unlink()
    paths["fifo"].unlink()
    os.mkfifo(paths["fifo"])
    paths["link"].unlink()
    paths["link"].symlink_to(paths["good"])

    keys = taken(worker, requests)

    assert [key is not None for key in keys] == [True] + [False] * 9


def test_a_process_that_dies_leaves_all_to_us(worker: IngestWorker, setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    assert worker._process is not None
    worker._process._process.failure()      # kills it
    assert taken(worker, [request(path)] * 3) == [None] * 3
    assert not worker.prepare(setup, MANY)
    assert taken(worker, [request(path)]) == [None]


def test_other_settings_need_another_process(worker: IngestWorker, setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "a.extension"
    path.write_bytes(b"x")
    longer = replace(setup, options=IngestOptions(max_extension_length=9))
    assert not worker.prepare(longer, MANY)
    eventually(lambda: worker.prepare(longer, 1), LIMIT)
    (key,) = taken(worker, [request(path)])
    assert key is not None
    assert key.name.endswith(b".extension")


def test_files_that_are_to_be_linked_are_not_copied(setup: Setup) -> None:
    worker = IngestWorker()
    thin = replace(setup, options=IngestOptions(thin=True))
    assert not worker.prepare(thin, MANY)
    assert worker._process is None
