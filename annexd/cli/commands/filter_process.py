"""`filter-process`: git talks to this one process about every file that it checks out or takes in."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from annexd.cli.arguments import Parser
from annexd.cli.invocation import Invocation
from annexd.errors import AnnexError

if TYPE_CHECKING:
    from annexd.annex.filter import CleanJob, Filters
    from annexd.formats.filter_protocol import FilterSession, FilterStarted

_CHUNK = 1 << 16


def configure(parser: Parser) -> None:
    """Declare the options."""
    parser.set_words("")


def run(call: Invocation, _options: Namespace) -> int:
    """Answer git until it closes its end."""
    from annexd.annex.filter import Filters
    from annexd.cli.filtering import open_annex

    filters = Filters(open_annex(call))
    try:
        return _Conversation(call, filters).run()
    finally:
        filters.close()


class _Conversation:
    """Reads requests from standard input, answers on standard output."""

    def __init__(self, call: Invocation, filters: Filters) -> None:
        from annexd.formats.filter_protocol import FilterSession

        self._call = call
        self._filters = filters
        self._session: FilterSession = FilterSession()
        self._job: CleanJob | None = None
        self._path = b""
        self._smudged: list[bytes] = []

    def run(self) -> int:
        """Until the end of input; status 1 when git went away in the middle of a request."""
        from annexd.formats.filter_protocol import FilterContent, FilterEnded, FilterStarted

        while data := os.read(0, _CHUNK):
            for event in self._session.receive(data):
                match event:
                    case FilterStarted():
                        self._start(event)
                    case FilterContent():
                        self._feed(event.data)
                    case FilterEnded():
                        self._answer()
            self._send()
        return 0 if self._session.may_end else 1

    def _start(self, event: FilterStarted) -> None:
        from annexd.formats.filter_protocol import FilterCommand

        self._path = event.path
        self._smudged.clear()
        self._job = self._filters.clean(event.path) if event.command is FilterCommand.CLEAN else None

    def _feed(self, data: bytes) -> None:
        if self._job is not None:
            self._job.feed(data)
        else:
            self._smudged.append(data)

    def _answer(self) -> None:
        try:
            if self._job is None:
                self._filters.smudge(self._path, self._smudged[0] if len(self._smudged) == 1 else b"")
                self._reply(self._smudged)
            else:
                self._reply(self._job.output())
        except (AnnexError, OSError) as problem:
            self._call.reporter.error(f"{os.fsdecode(self._path)}: {problem}")
            self._session.fail()

    def _reply(self, pieces: Iterable[bytes]) -> None:
        """Nothing is sent before the first piece is there, so that a failure can still be told."""
        started = False
        for piece in pieces:
            if not started:
                self._session.begin_output()
                started = True
            self._session.send_output(piece)
            self._send()
        if not started:
            self._session.begin_output()
        self._session.end_output()

    def _send(self) -> None:
        data = self._session.bytes_to_send()
        while data:
            data = data[os.write(1, data) :]
