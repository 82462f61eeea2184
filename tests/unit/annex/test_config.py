"""Settings, typed."""

from __future__ import annotations

import pytest

from annexd.annex.config import AnnexConfig, RemoteConfig
from annexd.errors import ConfigError
from annexd.formats.uuid import UUID
from annexd.git.config import GitConfig


def load(settings: dict[str, str]) -> AnnexConfig:
    return AnnexConfig.load(GitConfig.parse("".join(f"{n}\n{v}\0" for n, v in settings.items()).encode()))


def test_nothing_set_means_the_defaults() -> None:
    assert load({}) == AnnexConfig()


def test_settings_are_read_and_typed() -> None:
    found = load(
        {
            "annex.uuid": "u-1",
            "annex.version": "9",
            "annex.backend": "SHA1E MD5",
            "annex.largefiles": "largerthan=1kb",
            "annex.addunlocked": "include=*.c",
            "annex.thin": "yes",
            "annex.diskreserve": "1 mb",
            "annex.autocommit": "0",
            "annex.delayadd": "2",
            "core.symlinks": "false",
            "annex.tune.branchhash1": "true",
        }
    )
    assert (found.uuid, found.version, found.backend) == (b"u-1", 9, b"SHA1E")
    assert (found.large_files, found.add_unlocked) == ("largerthan=1kb", "include=*.c")
    assert (found.thin, found.autocommit, found.symlinks) == (True, False, False)
    assert (found.disk_reserve, found.delay_add) == (1_000_000, 2.0)
    assert found.tunings == ("annex.tune.branchhash1",)


def test_remotes_have_their_settings() -> None:
    found = load(
        {
            "remote.Some Name.url": "/there",
            "remote.Some Name.annex-uuid": "u-2",
            "remote.Some Name.annex-ignore": "true",
            "remote.Some Name.annex-cost": "50.5",
            "remote.Some Name.annex-private": "true",
            "remote.d.annex-directory": "/d",
            "remote.d.annex-sync": "false",
        }
    )
    one, two = found.remotes
    assert (one.name, one.url, one.uuid, one.ignore, one.cost) == ("Some Name", "/there", b"u-2", True, 50.5)
    assert two.setting("annex-directory") == "/d"
    assert two.setting("annex-nothing") is None
    assert not two.sync and two.pull and two.push
    assert found.remote("d") == two
    assert found.remote("x") is None
    assert found.private_uuids == {UUID(b"u-2")}
    assert RemoteConfig("n").sync


def test_an_own_private_uuid_is_private() -> None:
    assert load({"annex.private": "true", "annex.uuid": "u"}).private_uuids == {UUID(b"u")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("annex.thin", "maybe"),
        ("annex.version", "ten"),
        ("annex.diskreserve", "lots"),
        ("annex.delayadd", "soon"),
        ("remote.r.annex-cost", "cheap"),
        ("remote.r.annex-ignore", "hm"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_setting(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is '{value}'"):
        load({name: value})


def test_config_log_fills_in_what_git_config_leaves_open() -> None:
    shared = {
        b"annex.largefiles": b"nothing",
        b"annex.dotfiles": b"true",
        b"annex.addunlocked": b"true",
        b"annex.autocommit": b"false",
        b"annex.synccontent": b"perhaps",
        b"annex.resolvemerge": b"",
        b"annex.thin": b"true",
    }
    found = load({"annex.autocommit": "true"}).with_config_log(shared)
    assert found.shared_large_files == "nothing" and found.large_files is None
    assert found.dotfiles and found.add_unlocked == "true"
    assert found.autocommit
    assert not found.sync_content and found.resolve_merge and not found.thin


def test_config_log_without_news_leaves_the_settings_as_they_are() -> None:
    before = load({})
    assert before.with_config_log({b"annex.unknown": b"x"}) is before
