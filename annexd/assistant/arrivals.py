"""Sees content that other processes bring into this annex, as soon as their transfers end.

The location log tells of it too, but only after it is safely on the disk; people want to see their files sooner.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence

from annexd.annex import arrival_notes
from annexd.annex.layout import RepoLayout
from annexd.formats.key import Key
from annexd.formats.transfer_info import parse_info_path
from annexd.system.files import make_dirs
from annexd.system.fswatch import FsEvent, FsEventKind, TreeWatcher
from annexd.threads.stop_signal import StopSignal

DOWNLOAD = b"download"


class Arrivals:
    """One thread. Tells `on_end` of keys whose download, ours or of another process, is over, in whatever way."""

    def __init__(self, layout: RepoLayout, on_end: Callable[[Sequence[Key]], object]) -> None:
        self._annex_dir = layout.annex_dir
        self._directory = os.path.join(layout.transfer_root, DOWNLOAD)
        self._on_end = on_end

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. What is missed is found by the location log."""
        make_dirs(self._directory, self._annex_dir)
        watcher = TreeWatcher(self._directory, self._take, lambda: None, lambda _: None, lambda _: False)
        try:
            watcher.open()
            watcher.run(stop)
        finally:
            watcher.close()

    def _take(self, events: Sequence[FsEvent]) -> None:
        keys = []
        for event in events:
            if event.kind is FsEventKind.GONE:
                transfer = parse_info_path(DOWNLOAD + b"/" + event.path)
                if transfer is not None:
                    keys.append(transfer.key)
        if keys:
            self._on_end(keys)


class ArrivalNotes:
    """One thread. Tells `on_arrival` of the keys that other processes left notes of."""

    def __init__(self, layout: RepoLayout, on_arrival: Callable[[Sequence[Key]], object]) -> None:
        self._layout = layout
        self._directory = arrival_notes.directory(layout)
        self._on_arrival = on_arrival

    def run(self, stop: StopSignal) -> None:
        """Until `stop`. The directory is there while we are, so that nobody leaves notes for nobody."""
        make_dirs(self._directory, self._layout.annex_dir)
        watcher = TreeWatcher(self._directory, lambda _: self._take(), self._take, lambda _: None, lambda _: False)
        try:
            watcher.open()
            self._take()
            watcher.run(stop)
        finally:
            watcher.close()
            shutil.rmtree(self._directory, ignore_errors=True)

    def _take(self) -> None:
        try:
            keys = arrival_notes.take(self._layout)
        except FileNotFoundError:       # the repository is going, or somebody cleans up
            return
        if keys:
            self._on_arrival(keys)
