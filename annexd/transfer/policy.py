"""What should be moved where: decisions, without doing anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from annexd.formats.key import Key
from annexd.formats.transfer_info import Direction
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.transfer.job import Job, Reason


class Wants(Protocol):
    """Which repository wants which content."""

    def wants(self, uuid: UUID, key: Key, file: bytes | None) -> bool:
        """Whether the repository wants the content, which the work tree has as `file` (None: unknown)."""


class WantsAll:
    """For annexes without preferred content."""

    def wants(self, uuid: UUID, key: Key, file: bytes | None) -> bool:  # noqa: ARG002
        """Yes."""
        return True


def by_uuid(specs: Iterable[RemoteSpec]) -> dict[UUID, RemoteSpec]:
    """The remotes that content is moved to and from. Of several ways to one repository the cheapest that is there."""
    found: dict[UUID, RemoteSpec] = {}
    for spec in sorted(specs, key=lambda s: (not s.available, s.cost)):
        if spec.uuid is not None and spec.holds_content:
            found.setdefault(spec.uuid, spec)
    return found


def manner_of(spec: RemoteSpec) -> tuple[bool, ...]:
    """The settings that decide whether content goes to and comes from a remote."""
    config = spec.config
    return (spec.holds_content, config.sync, config.pull, config.push, config.readonly, config.speculate_present)


def may_upload(spec: RemoteSpec, reason: Reason) -> bool:
    """Whether content may go to the remote; what a person asks for may, even when syncing leaves it out."""
    if not spec.holds_content or spec.config.readonly:
        return False
    return reason is Reason.ASKED or (spec.config.sync and spec.config.push)


def may_download(spec: RemoteSpec, reason: Reason) -> bool:
    """Whether content may come from the remote."""
    return spec.holds_content and (reason is Reason.ASKED or (spec.config.sync and spec.config.pull))


def uploads_for(
    key: Key,
    file: bytes | None,
    *,
    specs: Mapping[UUID, RemoteSpec],
    locations: Collection[UUID],
    wants: Wants,
    reason: Reason,
) -> list[Job]:
    """Uploads of content that is here: to each remote that lacks it and wants it, the cheapest first."""
    chosen = [
        spec
        for uuid, spec in specs.items()
        if uuid not in locations and may_upload(spec, reason) and wants.wants(uuid, key, file)
    ]
    chosen.sort(key=lambda spec: spec.cost)
    return [Job(Direction.UPLOAD, key, (spec.uuid,), file, reason) for spec in chosen if spec.uuid is not None]


def sources_of(
    *,
    specs: Mapping[UUID, RemoteSpec],
    locations: Collection[UUID],
    reason: Reason,
    tried: Collection[UUID] = (),
) -> tuple[UUID, ...]:
    """The remotes to download from, cheapest first; those that only may have it come last."""
    ranked = [
        (uuid not in locations, spec.cost, uuid)
        for uuid, spec in specs.items()
        if (uuid in locations or spec.config.speculate_present) and uuid not in tried and may_download(spec, reason)
    ]
    return tuple(uuid for _, _, uuid in sorted(ranked))


def download_for(
    key: Key,
    file: bytes | None,
    *,
    here: UUID,
    specs: Mapping[UUID, RemoteSpec],
    locations: Collection[UUID],
    wants: Wants,
    reason: Reason,
) -> Job | None:
    """The download of missing content; None when it is not wanted. One without sources is to be deferred."""
    if reason is not Reason.ASKED and not wants.wants(here, key, file):
        return None
    return Job(Direction.DOWNLOAD, key, sources_of(specs=specs, locations=locations, reason=reason), file, reason)


def still_useful(job: Job, *, specs: Mapping[UUID, RemoteSpec], locations: Collection[UUID], wants: Wants) -> bool:
    """Whether an upload that was planned earlier still makes sense, by what the location log says now."""
    target = job.remotes[0]
    spec = specs.get(target)
    if spec is None or target in locations or not may_upload(spec, job.reason):
        return False
    return job.reason is Reason.ASKED or wants.wants(target, job.key, job.file)
