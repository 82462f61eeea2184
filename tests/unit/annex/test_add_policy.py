"""Where new files go."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from annexd.annex.add_policy import ATTRIBUTES, AddDecision, AddPolicy
from annexd.annex.ingest import AddAs
from annexd.annex.state import AnnexState
from annexd.errors import ConfigError
from annexd.git.attributes import CheckAttr
from tests.unit.annex.content_helpers import top, write
from tests.unit.annex.helpers import git, git_annex

LOCKED, UNLOCKED, GIT, SKIP = AddDecision.ANNEX_LOCKED, AddDecision.ANNEX_UNLOCKED, AddDecision.GIT, AddDecision.SKIP


def decide(state: AnnexState, path: bytes, data: bytes = b"data", *, when_unset: AddAs = AddAs.UNLOCKED) -> AddDecision:
    """What becomes of a file."""
    place = write(state, path, data)
    attributes = CheckAttr(state.repo, ATTRIBUTES)
    policy = AddPolicy(state.config, state.settings, attributes, when_unset=when_unset)
    try:
        return policy.decide(path, len(data), place).add_to
    finally:
        attributes.close()


def configure(state: AnnexState, **settings: str) -> None:
    """Set annex.* in git config."""
    for name, value in settings.items():
        git(top(state), "config", f"annex.{name}", value)
    state.reload_config()


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        ({}, b"a", UNLOCKED),
        ({}, b".hidden", GIT),
        ({}, b".dir/a", GIT),
        ({}, b"d/.hidden", GIT),
        ({"dotfiles": "true"}, b"d/.hidden", UNLOCKED),
        ({"largefiles": "largerthan=3b"}, b"a", UNLOCKED),
        ({"largefiles": "largerthan=4b"}, b"a", GIT),
        ({"largefiles": "include=*.bin"}, b"d/a.bin", UNLOCKED),
        ({"largefiles": "nothing", "addsmallfiles": "false"}, b"a", SKIP),
        ({"addunlocked": "false"}, b"a", LOCKED),
        ({"addunlocked": "true"}, b"a", UNLOCKED),
        ({"addunlocked": "include=*.txt"}, b"a.txt", UNLOCKED),
        ({"addunlocked": "include=*.txt"}, b"a.bin", LOCKED),
        ({"addsmallfiles": "false"}, b".hidden", SKIP),
    ],
)
def test_settings_decide(state: AnnexState, settings: dict[str, str], path: bytes, expected: AddDecision) -> None:
    configure(state, **settings)
    assert decide(state, path) is expected


@pytest.mark.parametrize(
    ("settings", "attribute", "path"),
    [
        ({}, "", "a"),
        ({}, "", ".hidden"),
        ({"dotfiles": "true"}, "", ".d/hidden"),
        ({}, "*.txt annex.largefiles=nothing", "a.txt"),
        ({}, "*.txt annex.largefiles=nothing", "d/a.bin"),
        ({"largefiles": "anything"}, "*.txt annex.largefiles=nothing", "a.txt"),
        ({}, "*.txt annex.largefiles=(largerthan=4b)", "a.txt"),
        ({}, "*.txt annex.largefiles=(largerthan=3b)", "a.txt"),
        ({"addunlocked": "include=*.x"}, "", "a.x"),
        ({"addunlocked": "true"}, "", "a.x"),
    ],
)
def test_git_annex_add_decides_the_same(
    state: AnnexState, annex_path: Path, annex_oracle: Path, settings: dict[str, str], attribute: str, path: str
) -> None:
    (annex_path / ".gitattributes").write_text(attribute + "\n")
    configure(state, **settings)
    ours = decide(state, path.encode(), when_unset=AddAs.LOCKED)
    git_annex(annex_path, "add", path)
    mode, oid = git(annex_path, "ls-files", "-s", path).split()[:2]
    blob = git(annex_path, "cat-file", "blob", oid.decode())
    if mode == b"120000":
        theirs = LOCKED
    else:
        theirs = UNLOCKED if b"/annex/objects/" in blob else GIT
    assert ours is theirs


def test_config_log_counts_last(state: AnnexState, annex_path: Path, annex_oracle: Path) -> None:
    git_annex(annex_path, "config", "--set", "annex.largefiles", "nothing")
    state.reset()
    assert decide(state, b"a") is GIT
    write(state, b".gitattributes", b"* annex.largefiles=anything\n")
    assert decide(state, b"a") is UNLOCKED
    configure(state, largefiles="nothing")
    assert decide(state, b"a") is GIT


def test_the_backend_comes_from_attribute_then_config(state: AnnexState) -> None:
    def backend(path: bytes, chosen: bytes | None = None) -> bytes:
        policy = AddPolicy(state.config, state.settings, state.attributes, backend=chosen)
        return policy.decide(path, 4, write(state, path, b"data")).backend

    assert backend(b"a") == b"SHA256E"
    configure(state, backend="SHA1")
    write(state, b".gitattributes", b"*.md5 annex.backend=MD5E\n*.unset -annex.backend\n")
    state.attributes.reset()
    assert backend(b"a") == b"SHA1"
    assert backend(b"a.md5") == b"MD5E"
    assert backend(b"a.unset") == b"SHA1"
    assert backend(b"a.md5", b"SHA512") == b"SHA512"


def test_many_paths_are_asked_about_at_once(state: AnnexState) -> None:
    write(state, b".gitattributes", b"*.g annex.largefiles=nothing\n")
    policy = AddPolicy(state.config, state.settings, state.attributes)
    paths = [b"%d%s" % (number, end) for number in range(500) for end in (b".g", b".a")]
    policy.prefetch(paths)
    state.attributes.close()
    place = write(state, b"x", b"data")
    assert [policy.decide(path, 4, place).add_to for path in paths[:2]] == [GIT, UNLOCKED]


def test_a_wrong_expression_says_so(state: AnnexState) -> None:
    configure(state, largefiles="largrthan=4")
    with pytest.raises(ConfigError, match="largrthan"):
        decide(state, b"a")


def test_plain_git_add_annexes_only_what_an_expression_names(state: AnnexState) -> None:
    policy = AddPolicy(state.config, state.settings, state.attributes)
    assert not policy.wants_annexed(b"a", 4, b"")
    configure(state, largefiles="largerthan=3b")
    policy = AddPolicy(state.config, state.settings, state.attributes)
    assert policy.wants_annexed(b"a", 4, b"")
    assert not policy.wants_annexed(b"a", 3, b"")
    assert not policy.wants_annexed(b".a", 4, b"")


def test_the_kind_of_a_file_is_read_without_following_or_waiting(state: AnnexState) -> None:
    os.mkfifo(top(state) / "fifo")
    assert stat.S_ISFIFO(os.stat(top(state) / "fifo").st_mode)
    assert decide(state, b"plain") is UNLOCKED
