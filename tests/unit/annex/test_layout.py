"""Where everything lies."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from annexd.annex.config import AnnexConfig
from annexd.annex.layout import DOWNLOAD, UPLOAD, RepoLayout
from annexd.annex.state import layout_of
from annexd.errors import UnsafePath
from annexd.formats.branch_paths import key_of_location_log, location_log
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.git.repository import GitRepository
from tests.support.repositories import make_git_repo

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())
KEY = Key.parse(b"SHA256E-s6--5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03.txt")
NAME = bytes(KEY)
R = UUID(b"bbbbbbbb-1111-4222-8333-444444444444")


def layout(*, bare: bool = False, lower_first: bool = False) -> RepoLayout:
    if bare:
        return RepoLayout(b"/r", b"/r", None, True, lower_first=True)
    return RepoLayout(b"/r/.git", b"/r/.git", b"/r", False, lower_first=lower_first)


@pytest.mark.parametrize("case", VECTORS["difference"]["tunings"], ids=lambda case: "+".join(case["tune"]) or "plain")
def test_objects_links_and_logs_lie_where_git_annex_puts_them_however_it_is_tuned(
    case: dict[str, Any], tmp_path: Path
) -> None:
    repo = GitRepository.discover(os.fsencode(make_git_repo(tmp_path / "r")))
    tuned = layout_of(repo, AnnexConfig(tunings=tuple(f"annex.tune.{name}" for name in case["tune"])))
    expected = os.fsencode(tmp_path / "r") + b"/" + case["object"].encode()
    assert tuned.object_path(KEY) == tuned.object_candidates(KEY)[0] == expected
    assert os.fsencode(tmp_path / "r") + b"/" + tuned.link_object_path(KEY) == expected
    assert location_log(KEY, tuned.branch_levels) == case["location_log"].encode()
    assert key_of_location_log(case["location_log"].encode(), tuned.branch_levels) == KEY


def test_there_are_no_mixed_case_directories_where_all_are_lower_case() -> None:
    lower = b"/r/.git/annex/objects/d91/b11/%b/%b" % (NAME, NAME)
    only = RepoLayout(b"/r/.git", b"/r/.git", b"/r", False, lower_only=True)
    assert only.object_candidates(KEY) == (lower,)


def test_work_trees_look_in_mixed_case_first_and_bare_repositories_in_lower_case() -> None:
    mixed = b"/annex/objects/mK/4w/%b/%b" % (NAME, NAME)
    lower = b"/annex/objects/d91/b11/%b/%b" % (NAME, NAME)
    assert layout().object_candidates(KEY) == (b"/r/.git" + mixed, b"/r/.git" + lower)
    assert layout(bare=True).object_candidates(KEY) == (b"/r" + lower, b"/r" + mixed)
    for one in (layout(), layout(bare=True), layout(lower_first=True)):
        assert one.object_path(KEY) == one.object_candidates(KEY)[0]


def test_links_are_mixed_case_wherever_the_object_lies() -> None:
    assert layout(lower_first=True).link_object_path(KEY) == b".git/annex/objects/mK/4w/%b/%b" % (NAME, NAME)


def test_work_trees_of_one_repository_share_the_annex() -> None:
    linked = RepoLayout(b"/r/.git/worktrees/w", b"/r/.git", b"/w", False)
    assert linked.annex_dir == b"/r/.git/annex"
    assert linked.index == b"/r/.git/worktrees/w/index"
    assert linked.hooks_dir == b"/r/.git/hooks"


def test_transfers_are_noted_where_git_annex_looks() -> None:
    base = b"/r/.git/annex/transfer/"
    assert layout().transfer_info(UPLOAD, R, KEY) == base + b"upload/" + R + b"/" + NAME
    assert layout().transfer_lock(DOWNLOAD, R, KEY) == base + b"download/" + R + b"/lck." + NAME
    assert layout().download_key_lock(KEY) == base + b"download/lck/lck." + NAME
    assert layout().failed_transfer(DOWNLOAD, R, KEY) == base + b"failed/download/" + R + b"/" + NAME


@pytest.mark.parametrize("uuid", [b"", b".", b"..", b"/", b"a\0b", b"./."])
def test_a_uuid_that_is_no_directory_name_is_refused(uuid: bytes) -> None:
    with pytest.raises(UnsafePath):
        layout().transfer_info(UPLOAD, UUID(uuid), KEY)


def test_slashes_in_a_uuid_lead_nowhere() -> None:
    assert layout().transfer_dir(UPLOAD, UUID(b"../../x")) == b"/r/.git/annex/transfer/upload/....x"


def test_keys_that_hold_slashes_stay_one_component() -> None:
    hostile = Key(b"URL", b"http://x/../../y")
    assert layout().object_path(hostile).count(b"/") == layout().object_path(KEY).count(b"/")
    assert layout().tmp_object(hostile) == b"/r/.git/annex/tmp/URL--http&c%%x%..%..%y"
    assert layout().bad_object(hostile).startswith(b"/r/.git/annex/bad/URL--")
