"""The daemon's life: takes its place, recovers, starts its threads, listens to signals, ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from annexd import __version__
from annexd.annex.recovery import recover
from annexd.annex.state import AnnexState
from annexd.assistant import daemon_files
from annexd.assistant.alerts import Alerts
from annexd.assistant.parts import Parts
from annexd.assistant.status import Alert, Phase, Severity, Status, StatusBoard
from annexd.errors import AnnexError, FatalError, RepositoryError
from annexd.system import systemd
from annexd.system.logging import Level, get_logger, set_up, stderr_console
from annexd.system.signals import SignalListener
from annexd.threads import stacks
from annexd.threads.deadline import Deadline
from annexd.threads.named_thread import NamedThread
from annexd.threads.stop_signal import StopSignal
from annexd.threads.supervisor import Supervisor

if TYPE_CHECKING:
    from annexd.system.dbus import Notifier

WATCHES_STEP = 0.25
WATCHES_SECONDS = 60.0      # that setting the watches may take before we say that we are ready anyway
END_SECONDS = 4.0           # for all threads together, when asked to end
STATUS_INTERVAL = 1.0       # seconds between two writes of the status, at least
DEBUG_VARIABLE = "ANNEXD_DEBUG"

log = get_logger(__name__)


class _Hurry(BaseException):
    """A second SIGTERM: waiting ends now."""


def run(path: bytes, *, foreground: bool) -> int:
    """Be the daemon of the repository at `path` until SIGTERM or SIGINT; the exit status.

    With `foreground` the log goes to the error output as well as to the log file. What keeps it from starting is said
    there, too. Belongs into the main thread, because of the signals.
    """
    try:
        state = AnnexState.open(path)
        if state.repo.work_tree is None:
            raise RepositoryError("a bare repository has no work tree to watch", hint="push to it from others")
        with daemon_files.take_over(state.layout):
            return _run(state, foreground=foreground)
    except FatalError as error:
        print(f"annexd: {error}", file=sys.stderr)
        return error.exit_status
    except (AnnexError, OSError) as error:
        print(f"annexd: {error}", file=sys.stderr)
        return 1


def _run(state: AnnexState, *, foreground: bool) -> int:
    level = Level.DEBUG if os.environ.get(DEBUG_VARIABLE) else Level.INFO
    end_log = set_up(log_file=state.layout.daemon_log, console=stderr_console() if foreground else None, level=level)
    try:
        return _Daemon(state).run()
    finally:
        end_log()


class _Daemon:
    """One run. Everything here happens in the main thread unless it says otherwise."""

    def __init__(self, state: AnnexState) -> None:
        self._state = state
        self._layout = state.layout
        self._stop = StopSignal()
        self._board = StatusBoard(Status(os.getpid(), time.time(), __version__))
        self._alerts = Alerts(self._board, _make_notifier())
        self._hurried = False

    def run(self) -> int:
        log.info("daemon.started", repository=self._layout.work_tree, pid=os.getpid(), version=__version__)
        for line in recover(self._state):
            log.info("recovery.done", what=line)
        parts = self._parts = Parts(self._state, self._board, self._alerts)
        supervisor = self._supervisor = Supervisor(self._stop, self._crashed)
        parts.register(supervisor)
        status_writer = NamedThread("status", self._write_status)
        with self._listener() as listener:
            status_writer.start()
            parts.start()
            supervisor.start()
            self._stop.on_stop(lambda: self._board.set(phase=Phase.STOPPING))
            self._wait_for_watches()
            systemd.notify("READY=1\nSTATUS=in sync")
            listener.wait(self._stop)
            status = self._end()
            status_writer.join(Deadline(0.5))
            return status

    def _wait_for_watches(self) -> None:
        """In short steps, as signals are handled between them only."""
        deadline = Deadline(WATCHES_SECONDS)
        while not self._stop.is_set() and not deadline.expired():
            if self._parts.is_watching(Deadline(deadline.limit(WATCHES_STEP))):
                self._board.set(phase=Phase.RUNNING)
                return

    def _end(self) -> int:
        systemd.notify("STOPPING=1")
        log.info("daemon.stopping")
        deadline = Deadline(END_SECONDS)
        try:
            late = self._supervisor.join(Deadline(deadline.limit(END_SECONDS - 1.0)))
            if late:
                log.warning("daemon.threads_late", threads=late, stacks=stacks.dump_all())
            if not self._parts.close(deadline):
                log.warning("daemon.not_closed", **self._parts.describe())
        except _Hurry:
            log.warning("daemon.hurried")
        except FatalError as error:
            log.error("daemon.failed", reason=str(error))
            return error.exit_status
        except (AnnexError, OSError) as error:
            log.warning("daemon.closed_badly", reason=str(error))
        with suppress(OSError):
            daemon_files.write_status(self._layout, self._board.get().to_json())
            daemon_files.write_peer_status(self._layout, scan_complete=self._board.get().scan_complete)
        log.info("daemon.stopped")
        return 0

    def _listener(self) -> SignalListener:
        return SignalListener({
            signal.SIGTERM: self._asked_to_end,
            signal.SIGINT: self._asked_to_end,
            signal.SIGHUP: self._parts.reload,
            signal.SIGUSR1: self._dump,
        })  # fmt: skip

    def _asked_to_end(self) -> None:
        if self._stop.is_set():
            if not self._hurried:
                self._hurried = True
                raise _Hurry
            return
        self._stop.set()

    def _dump(self) -> None:
        log.info("stacks.dumped", stacks=stacks.dump_all())
        log.info("daemon.dumped", **self._parts.describe())

    def _crashed(self, name: str, error: BaseException, parked: bool) -> None:
        """In the crashed thread."""
        log.error("thread.crashed", name=name, parked=parked, exc_info=error)
        self._board.set(parked=self._supervisor.parked())
        what = "was given up" if parked else "will be started again"
        self._alerts.raise_alert(
            f"thread {name}", f"the part “{name}” crashed and {what}: {error}",
            hint="see annexd log; please report it", severity=Severity.ERROR,
        )  # fmt: skip

    def _write_status(self) -> None:
        """A thread: the status file follows the status, at most once a second."""
        last: Status | None = None
        while not self._stop.is_set():
            found = self._board.wait_for(lambda status: status is not last, Deadline(None))     # noqa: B023
            last = self._gather() if found is not None else last
            try:
                if last is not None:
                    daemon_files.write_status(self._layout, last.to_json())
            except OSError as error:
                log.debug("status.unwritten", reason=str(error))
            self._stop.wait(STATUS_INTERVAL)

    def _gather(self) -> Status:
        transfers, shared = self._parts.transfers, self._parts.shared
        counts = transfers.queue.counts()
        self._board.set(
            transfers_queued=counts.queued + counts.running, transfers_deferred=len(transfers.deferred),
            longest_hold_ms=shared.longest_hold_ns // 1_000_000, longest_holder=shared.longest_holder,
        )  # fmt: skip
        return self._board.get()


def _make_notifier() -> Callable[[Alert], None] | None:
    """Desktop notifications, where there may be a desktop; the library is loaded for the first one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if not os.environ.get("DBUS_SESSION_BUS_ADDRESS") and not os.path.exists(f"{runtime}/bus"):
        return None
    made: list[Notifier] = []

    def tell(alert: Alert) -> None:
        if alert.severity is Severity.INFO:
            return
        if not made:
            from annexd.system.dbus import Notifier as Desktop
            from annexd.system.event_loop import EventLoop

            made.append(Desktop(EventLoop()))
        made[0].show("annexd", alert.message, topic=alert.name, urgent=alert.severity is Severity.ERROR)

    return tell


