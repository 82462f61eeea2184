"""Repositories as people name them, and as they are shown to people."""

from __future__ import annotations

from annexd.annex.state import AnnexState
from annexd.errors import UserError
from annexd.formats.logs.trust import TrustLevel
from annexd.formats.paths import display, from_text
from annexd.formats.uuid import BITTORRENT, UUID, WEB

HERE = ("here", ".")


def uuid_named(annex: AnnexState, name: str) -> UUID:
    """The repository that `name` stands for: "here", a remote, a uuid or a description. Raises UserError."""
    if name in HERE:
        return annex.uuid
    remote = annex.config.remote(name)
    if remote is not None and remote.uuid is not None:
        return remote.uuid
    if remote is not None and (found := _ask_remote(annex, name)) is not None:
        return found
    wanted = from_text(name)
    descriptions = annex.settings.descriptions
    if UUID(wanted) in descriptions:
        return UUID(wanted)
    described = [uuid for uuid, text in descriptions.items() if text == wanted]
    if len(described) == 1:
        return described[0]
    if len(described) > 1:
        raise UserError(f'there are several repositories described as "{name}"', hint="name one by its uuid")
    raise UserError(f'there is no available git remote named "{name}"')


class Names:
    """How repositories are shown: description, and the remote's name or "here" in brackets."""

    def __init__(self, annex: AnnexState) -> None:
        self._here = annex.uuid
        settings = annex.settings
        self._settings = settings
        self._names = {WEB: "web", BITTORRENT: "bittorrent"}
        self._names |= {uuid: display(text) for uuid, text in settings.descriptions.items()}
        for uuid, name in _remote_names(annex):
            self._names[uuid] = _with_name(self._names.get(uuid, ""), name)

    def plain(self, uuid: UUID) -> str:
        """Description and remote name, without "here"."""
        return self._names.get(uuid, "")

    def full(self, uuid: UUID) -> str:
        """The same, with "[here]" behind this repository's."""
        name = self.plain(uuid)
        return f"{name} [here]".lstrip() if uuid == self._here else name

    def line(self, uuid: UUID) -> str:
        """"UUID -- name", or the bare uuid of a repository of which nothing is known."""
        name = self.full(uuid)
        return f"{display(uuid)} -- {name}" if name else display(uuid)

    def is_here(self, uuid: UUID) -> bool:
        """Whether that is this repository."""
        return uuid == self._here

    def trust(self, uuid: UUID) -> TrustLevel:
        """How far it is trusted."""
        return self._settings.trust(uuid)

    def known(self) -> list[UUID]:
        """All repositories that have a description or are remotes."""
        return sorted(self._names)


def _with_name(description: str, name: str) -> str:
    return f"[{name}]" if description in ("", name) else f"{description} [{name}]"


def _remote_names(annex: AnnexState) -> list[tuple[UUID, str]]:
    """Remotes by uuid; those whose uuid was never asked for are asked."""
    remotes = annex.config.remotes
    if any(remote.uuid is None and remote.url and not remote.ignore for remote in remotes):
        from annexd.remotes.registry import load_specs

        return [(spec.uuid, spec.name) for spec in load_specs(annex) if spec.uuid is not None]
    return [(remote.uuid, remote.name) for remote in remotes if remote.uuid is not None]


def _ask_remote(annex: AnnexState, name: str) -> UUID | None:
    from annexd.remotes.registry import load_specs

    return next((spec.uuid for spec in load_specs(annex) if spec.name == name), None)
