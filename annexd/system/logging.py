"""Structured logs: text on a terminal, lines of JSON under systemd and in the log file.

An event is named once and for all, as "noun.verb" in the past tense; what varies are values beside it. structlog is
imported by `set_up`, which the daemon calls; a short-lived command does without it, and then only warnings and errors
come out, as plain text on the error output.
"""

from __future__ import annotations

import enum
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

from annexd.formats.paths import display
from annexd.system.log_file import RotatingFile

Event = MutableMapping[str, Any]


class Level(enum.IntEnum):
    """How much an event matters to a reader."""

    DEBUG = 10      # a decision and its reason
    INFO = 20       # the world changed
    WARNING = 30    # we degraded and will try again
    ERROR = 40      # a person must act, or it is a bug


class Logger:
    """Writes events under the name of one part of the program. Any thread may use it; it holds no resources."""

    __slots__ = ("_name", "_values")

    def __init__(self, name: str, values: Mapping[str, object] | None = None) -> None:
        self._name = name
        self._values = dict(values or {})

    def bind(self, **values: object) -> Logger:
        """A logger that adds `values` to each event."""
        return Logger(self._name, {**self._values, **values})

    def debug(self, event: str, **values: object) -> None:
        """A decision and its reason."""
        self._write("debug", event, values)

    def info(self, event: str, **values: object) -> None:
        """The world changed."""
        self._write("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        """Something is worse than it should be; we will try again."""
        self._write("warning", event, values)

    def error(self, event: str, *, exc_info: BaseException | None = None, **values: object) -> None:
        """A person must act, or it is a bug. The traceback of `exc_info` is written too."""
        if exc_info is not None:
            values["exc_info"] = exc_info
        self._write("error", event, values)

    def _write(self, level: str, event: str, values: dict[str, object]) -> None:
        structlog = sys.modules.get("structlog")
        if structlog is not None and structlog.is_configured():
            getattr(structlog.get_logger(), level)(event, part=self._name, **self._values, **values)
        elif level in ("warning", "error"):
            shown = "".join(f" {name}={render(value)}" for name, value in {**self._values, **values}.items())
            print(f"{level}: {event}{shown}", file=sys.stderr)


def get_logger(name: str) -> Logger:
    """The logger of one part, e.g. "committer"; of a module's full name the last part is taken. Opens nothing."""
    return Logger(name.rpartition(".")[2])


def set_up(
    *, log_file: bytes | None = None, console: TextIO | None = None, level: Level = Level.INFO
) -> Callable[[], None]:
    """Have events written from now on: to `console`, and as JSON to `log_file`, which is rotated.

    The console gets coloured text when it is a terminal, JSON otherwise. Call it once; the function returned ends it.
    OSError when the file cannot be opened.
    """
    import structlog

    file = RotatingFile(log_file) if log_file is not None else None
    output = _Output(console, file)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_time_and_thread,
            structlog.processors.ExceptionRenderer(),
            _render_values,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: output,
        cache_logger_on_first_use=False,
    )

    def end() -> None:
        structlog.reset_defaults()
        if file is not None:
            file.close()

    return end


@contextmanager
def context(**values: object) -> Iterator[None]:
    """Add `values` to all events of this thread for the time of the block, e.g. which transfer it works on."""
    import structlog

    with structlog.contextvars.bound_contextvars(**values):
        yield


def render(value: object) -> object:
    """A value as the log shows it: paths and keys as text, collections item by item, numbers as they are."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return display(value)
    if hasattr(value, "__bytes__"):     # keys
        return display(bytes(value))
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(render(name)): render(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [render(item) for item in value]
    return str(value)


class _Output:
    """Where finished events go; structlog calls the method named after the level."""

    def __init__(self, console: TextIO | None, file: RotatingFile | None) -> None:
        self._console = console
        self._file = file
        self._lock = threading.Lock()       # keeps lines whole
        self._render: Callable[[Event], str] | None = None
        if console is not None and console.isatty():
            self._render = _text_renderer()

    def msg(self, **event: object) -> None:
        line = json.dumps(event, ensure_ascii=False, default=str)
        shown = line if self._render is None else self._render(dict(event))
        with self._lock:
            if self._console is not None:
                self._write_console(shown)
            if self._file is not None:
                self._file.write_line(line.encode("utf-8", "backslashreplace"))

    debug = info = warning = error = critical = msg

    def _write_console(self, line: str) -> None:
        assert self._console is not None
        try:
            self._console.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
            self._console.flush()
        except (OSError, ValueError):
            self._console = None        # the terminal is gone; the file goes on


def _text_renderer() -> Callable[[Event], str]:
    import structlog

    renderer = structlog.dev.ConsoleRenderer(colors=True, timestamp_key="time", pad_event_to=30)
    return lambda event: str(renderer(None, "", event))


def _add_time_and_thread(_logger: object, _method: str, event: Event) -> Event:
    import datetime

    event["time"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    event.setdefault("thread", threading.current_thread().name)
    return event


def _render_values(_logger: object, _method: str, event: Event) -> Event:
    first = {name: event.pop(name) for name in ("time", "level", "event") if name in event}
    return {**first, **{name: render(value) for name, value in event.items()}}


def stderr_console() -> TextIO:
    """The error output, which never fails over an odd file name."""
    return os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace")
