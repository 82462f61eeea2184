"""Which remotes content goes to and comes from."""

from __future__ import annotations

from annexd.annex.config import RemoteConfig
from annexd.formats.key import Key
from annexd.formats.uuid import UUID
from annexd.remotes.contract import ContentSupport, RemoteKind, RemoteSpec
from annexd.transfer import policy
from annexd.transfer.job import Direction, Job, Reason

KEY = Key(b"SHA256", b"1", 5)
A, B, C, US = UUID(b"a"), UUID(b"b"), UUID(b"c"), UUID(b"us")


def spec(
    uuid: UUID, cost: float = 100, *, available: bool = True, supported: bool = True, **config: bool
) -> RemoteSpec:
    name = uuid.decode()
    content = ContentSupport() if supported else ContentSupport("not yet")
    settings = RemoteConfig(name, **config)     # type: ignore[arg-type]
    return RemoteSpec(name, uuid, RemoteKind.GIT_LOCAL, cost, None, b"/" + uuid, settings, available, content)


class OnlyTxtAt:
    """Preferred content of one repository: *.txt."""

    def __init__(self, uuid: UUID) -> None:
        self.uuid = uuid

    def wants(self, uuid: UUID, key: Key, file: bytes | None) -> bool:
        return uuid != self.uuid or (file or b"").endswith(b".txt")


def targets(
    *specs: RemoteSpec,
    locations: set[UUID] = frozenset(),  # type: ignore[assignment]
    file: bytes = b"f",
    reason: Reason = Reason.NEW,
    wants: policy.Wants | None = None,
) -> list[UUID]:
    jobs = policy.uploads_for(
        KEY, file, specs=policy.by_uuid(specs), locations=locations, wants=wants or policy.WantsAll(), reason=reason
    )
    return [job.remotes[0] for job in jobs]


def sources(*specs: RemoteSpec, locations: set[UUID], reason: Reason = Reason.NEW) -> tuple[UUID, ...]:
    return policy.sources_of(specs=policy.by_uuid(specs), locations=locations, reason=reason)


def test_uploads_go_to_those_that_lack_it_the_cheapest_first() -> None:
    assert targets(spec(A, 200), spec(B, 100), spec(C), locations={C}) == [B, A]


def test_uploads_go_to_those_that_want_it() -> None:
    wants = OnlyTxtAt(A)
    assert targets(spec(A), spec(B), file=b"x.jpg", wants=wants) == [B]
    assert targets(spec(A), spec(B), file=b"x.txt", wants=wants) == [A, B]


def test_settings_of_a_remote_are_kept() -> None:
    assert targets(spec(A, readonly=True)) == []
    assert targets(spec(A, ignore=True)) == []
    assert targets(spec(A, supported=False)) == []
    assert targets(spec(A, sync=False)) == []
    assert targets(spec(A, push=False)) == []
    assert targets(spec(A, pull=False)) == [A]
    assert sources(spec(A, pull=False), locations={A}) == ()
    assert sources(spec(A, sync=False), locations={A}) == ()
    assert sources(spec(A, push=False, readonly=True), locations={A}) == (A,)


def test_a_person_may_ask_for_what_syncing_leaves_out() -> None:
    assert targets(spec(A, sync=False), spec(B, push=False), reason=Reason.ASKED) == [A, B]
    assert sources(spec(A, sync=False), locations={A}, reason=Reason.ASKED) == (A,)
    assert targets(spec(A, readonly=True), reason=Reason.ASKED) == []
    assert targets(spec(A, ignore=True), reason=Reason.ASKED) == []


def test_downloads_come_from_those_that_have_it_the_cheapest_first() -> None:
    assert sources(spec(A, 200), spec(B, 100), spec(C, 50), locations={A, B}) == (B, A)


def test_a_remote_that_may_have_anything_is_the_last_resort() -> None:
    assert sources(spec(A, 200), spec(B, 10, speculate_present=True), locations={A}) == (A, B)


def test_of_two_ways_to_a_repository_the_cheapest_that_is_there_is_used() -> None:
    near, far, unmounted = spec(A, 100), spec(A, 200), spec(A, 50, available=False)
    assert policy.by_uuid([far, near, unmounted]) == {A: near}
    assert policy.by_uuid([unmounted]) == {A: unmounted}


def download(reason: Reason, wants: policy.Wants) -> Job | None:
    specs = policy.by_uuid([spec(A)])
    return policy.download_for(KEY, b"x.jpg", here=US, specs=specs, locations={A}, wants=wants, reason=reason)


def test_what_is_not_wanted_here_is_not_downloaded_unless_asked_for() -> None:
    assert download(Reason.NEW, OnlyTxtAt(US)) is None
    assert download(Reason.ASKED, OnlyTxtAt(US)) == Job(Direction.DOWNLOAD, KEY, (A,), b"x.jpg", Reason.ASKED)


def test_an_upload_planned_earlier_is_looked_at_again() -> None:
    job = Job(Direction.UPLOAD, KEY, (A,), b"x.jpg", Reason.RETRY)

    def useful(specs: list[RemoteSpec], locations: set[UUID], wants: policy.Wants) -> bool:
        return policy.still_useful(job, specs=policy.by_uuid(specs), locations=locations, wants=wants)

    assert useful([spec(A)], set(), policy.WantsAll())
    assert not useful([spec(A)], {A}, policy.WantsAll()), "it got there meanwhile"
    assert not useful([], set(), policy.WantsAll()), "the remote is not configured any more"
    assert not useful([spec(A)], set(), OnlyTxtAt(A)), "it does not want it any more"
