"""What other programs may ask of the daemon over its socket, one JSON object a line.

Requests are `{"do": WHAT, ...}`: status (perhaps `limit`: how many transfers of a kind to list); why (`key`, perhaps
`file`); pause, resume and cancel (`what`: "all", "remote" with `remote`, or "transfer" with `direction`, `key` and for
uploads `remote`; that there is no such transfer is an error, unless `if_there` is true: then `found` tells); jobs
(`count`, until the settings change).
Answers have `ok`; when that is false, `error` says why.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from tempfile import TemporaryDirectory
from typing import Any

from annexd.annex.layout import RepoLayout
from annexd.annex.shared import SharedAnnex
from annexd.errors import AnnexError, FormatError, UserError
from annexd.formats.key import Key
from annexd.formats.paths import display
from annexd.formats.uuid import UUID
from annexd.remotes.contract import RemoteSpec
from annexd.system.control_socket import ControlSocket, ask
from annexd.system.files import read_file, write_atomically
from annexd.system.logging import get_logger
from annexd.threads.deadline import Deadline
from annexd.threads.stop_signal import StopSignal
from annexd.transfer.explain import HoldUp, HoldUps, explain
from annexd.transfer.failed import Failure
from annexd.transfer.job import Direction, Identity, Job
from annexd.transfer.slots import Running
from annexd.transfer.transfers import Transfers

SHOWN = 100     # transfers of a kind that a status lists
MOST_SHOWN = 1_000_000
HELD = HoldUp("paused", "paused by hand", "annexd resume FILE")
DEFERRED = HoldUp(
    "deferred", "no remote that is there is known to have it", "it is fetched once a location log tells of a source"
)

Request = Mapping[str, Any]
Answer = dict[str, Any]

log = get_logger(__name__)

NO_SOCKETS = (errno.EIO, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems without Unix sockets say."""


def socket_path(layout: RepoLayout) -> bytes:
    """Where the daemon of this repository listens.

    Where the file system has no sockets a file in its place says where it is. OSError when that cannot be read.
    """
    place = layout.annexd_dir + b"/control"
    try:
        if stat.S_ISREG(os.lstat(place).st_mode):
            return read_file(place, limit=1 << 12)
    except FileNotFoundError:
        pass
    return place


def send(layout: RepoLayout, request: Request, deadline: Deadline) -> Answer:
    """Ask the daemon of this repository. Raises UserError when it says no, OSError when none listens."""
    line = ask(socket_path(layout), json.dumps(request).encode(), deadline)
    answer: Answer = json.loads(line)
    if not answer.get("ok"):
        raise UserError(str(answer.get("error") or "the daemon refused"))
    return answer


class Control:
    """A thread that answers. `describe` are facts about the daemon for `status`."""

    def __init__(
        self,
        shared: SharedAnnex,
        transfers: Transfers,
        specs: Callable[[], Mapping[UUID, RemoteSpec]],
        describe: Callable[[], Mapping[str, object]],
    ) -> None:
        self._shared = shared
        self._transfers = transfers
        self._specs = specs
        self._describe = describe
        self._actions: dict[str, Callable[[Request], Answer]] = {
            "status": self._status, "why": self._why, "pause": self._pause, "resume": self._resume,
            "cancel": self._cancel, "jobs": self._jobs,
        }  # fmt: skip

    def run(self, stop: StopSignal) -> None:
        """Until `stop`."""
        place = self._shared.layout.annexd_dir + b"/control"
        try:
            ControlSocket(place, self.answer).run(stop)
        except OSError as error:
            if error.errno not in NO_SOCKETS:
                raise
            self._run_elsewhere(place, stop)

    def _run_elsewhere(self, place: bytes, stop: StopSignal) -> None:
        """Listen in a directory of our own on another file system, which a file at `place` tells of."""
        with TemporaryDirectory(prefix="annexd-", dir=os.environ.get("XDG_RUNTIME_DIR") or None) as directory:
            path = os.fsencode(directory) + b"/control"
            with suppress(FileNotFoundError):
                os.unlink(place)        # what the attempt to listen there left
            write_atomically(place, path)
            try:
                ControlSocket(path, self.answer).run(stop)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(place)

    def answer(self, line: bytes) -> bytes:
        """One request, whatever it holds."""
        try:
            return json.dumps({"ok": True, **self._do(line)}, default=_plain).encode()
        except (AnnexError, OSError) as error:
            return json.dumps({"ok": False, "error": str(error)}).encode()

    def _do(self, line: bytes) -> Answer:
        try:
            request = json.loads(line)
        except ValueError as error:
            raise UserError(f"not JSON: {error}") from error
        action = self._actions.get(str(request.get("do"))) if isinstance(request, dict) else None
        if action is None:
            raise UserError(f"do one of {', '.join(self._actions)}")
        log.debug("control.asked", request=request)
        return action(request)

    # -- looking

    def _status(self, request: Request) -> Answer:
        limit = request.get("limit", SHOWN)
        if not isinstance(limit, int) or not 0 <= limit <= MOST_SHOWN:
            raise UserError(f"limit is a number up to {MOST_SHOWN}")
        parts = self._transfers
        hold_ups = HoldUps(parts, self._specs())
        speeds = parts.limiter.limits(tuple(spec.name for spec in self._specs().values()))
        counts = parts.queue.counts()
        everything, paused = parts.queue.paused()
        waiting = parts.queue.waiting_for()
        gates = parts.gate.view()
        remotes = {
            spec.name: {
                "waiting": waiting.get(uuid, 0), "paused": uuid in paused, "available": spec.available,
                "limits": {way.value.decode(): speeds.get((spec.name, way)) for way in Direction},
                **(asdict(gates[uuid]) if uuid in gates else {}),
            }
            for uuid, spec in self._specs().items()
        }  # fmt: skip
        return {
            "transfers": {
                "queued": counts.queued, "running": counts.running, "held": counts.held,
                "deferred": len(parts.deferred), "failed": len(parts.failed), "paused": everything,
                "slots": len(parts.slots),
            },
            "remotes": remotes,
            "running": [self._shown_running(running) for running in parts.slots.running()],
            "queue": [
                {**self._shown_job(job), **asdict(hold_ups.of(job.remotes))} for job in parts.queue.waiting(limit)
            ],
            "held": [{**self._shown_job(job), **asdict(HELD)} for job in parts.queue.held(limit)],
            "deferred": [{**self._shown_job(job), **asdict(DEFERRED)} for job in parts.deferred.waiting(limit)],
            "failed": [self._shown_failure(failure) for failure in parts.failed.failures(limit)],
            "daemon": dict(self._describe()),
        }  # fmt: skip

    def _why(self, request: Request) -> Answer:
        key = _key(request)
        file = os.fsencode(str(request["file"])) if request.get("file") else None
        with self._shared.locked() as annex:
            found = explain(annex, self._transfers, self._specs(), key, file)
        wanted = request.get("remote")
        shown = [asdict(standing) for standing in found if wanted in (None, standing.name)]
        if not shown:
            raise UserError(f"there is no remote {wanted}")
        return {"key": str(key), "where": shown}

    # -- steering

    def _pause(self, request: Request) -> Answer:
        controller = self._transfers.controller
        match request.get("what"):
            case "all":
                controller.pause_all()
            case "remote":
                controller.pause_remote(self._remote(request))
            case _:
                return _found(request, controller.pause(self._identity(request)), "neither waits nor runs")
        return {}

    def _resume(self, request: Request) -> Answer:
        controller = self._transfers.controller
        match request.get("what"):
            case "all":
                controller.resume_all()
            case "remote":
                controller.resume_remote(self._remote(request))
            case _:
                return _found(request, controller.resume(self._identity(request)), "is not paused")
        return {}

    def _cancel(self, request: Request) -> Answer:
        controller = self._transfers.controller
        match request.get("what"):
            case "all":
                return {"count": controller.cancel_all()}
            case "remote":
                return {"count": controller.cancel_remote(self._remote(request))}
            case _:
                found = controller.cancel(self._identity(request))
                return {**_found(request, found, "neither waits nor runs"), "count": int(found)}

    def _jobs(self, request: Request) -> Answer:
        count = request.get("count")
        if not isinstance(count, int) or not 1 <= count <= 256:
            raise UserError("count is a number from 1 to 256")
        self._transfers.slots.resize(count)
        return {"slots": count}

    # -- from words to values and back

    def _remote(self, request: Request) -> UUID:
        wanted = request.get("remote")
        for uuid, spec in self._specs().items():
            if wanted in (spec.name, os.fsdecode(uuid)):
                return uuid
        raise UserError(f"there is no remote {wanted}")

    def _identity(self, request: Request) -> Identity:
        match request.get("direction"):
            case "upload":
                return (Direction.UPLOAD, self._remote(request), _key(request))
            case "download":
                return (Direction.DOWNLOAD, None, _key(request))
            case _:
                raise UserError('what is "all", "remote" or "transfer"; the direction "upload" or "download"')

    def _name(self, remote: UUID) -> str:
        spec = self._specs().get(remote)
        return spec.name if spec is not None else os.fsdecode(remote)

    def _shown_job(self, job: Job) -> Answer:
        return {
            "direction": job.direction.value.decode(), "key": str(job.key), "size": job.size,
            "file": display(job.file) if job.file is not None else None,
            "remotes": [self._name(remote) for remote in job.remotes], "because": job.reason.name.lower(),
        }  # fmt: skip

    def _shown_running(self, running: Running) -> Answer:
        seconds = max(time.monotonic() - running.began, 0.001)
        rate = running.done / seconds
        left = running.total - running.done if running.total is not None else None
        return {
            **self._shown_job(running.work.jobs[0]), "jobs": len(running.work.jobs), "slot": running.slot,
            "remote": self._name(running.work.remote), "done": running.done, "total": running.total,
            "seconds": round(seconds, 1), "bytes_per_second": round(rate),
            "seconds_left": round(left / rate, 1) if left is not None and rate > 0 else None,
        }  # fmt: skip

    def _shown_failure(self, failure: Failure) -> Answer:
        wait = max(0.0, failure.due - time.monotonic())
        return {
            **self._shown_job(failure.job), "remote": self._name(failure.remote), "reason": failure.reason,
            "attempts": failure.attempts, "next_try": round(wait, 1),
        }  # fmt: skip


def _found(request: Request, found: bool, otherwise: str) -> Answer:
    if not found and not request.get("if_there"):
        raise UserError(f"this transfer {otherwise}")
    return {"found": found}


def _key(request: Request) -> Key:
    try:
        return Key.parse(os.fsencode(str(request.get("key", ""))))
    except FormatError as error:
        raise UserError(str(error)) from error


def _plain(value: object) -> Any:
    found = getattr(value, "value", value)
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)
