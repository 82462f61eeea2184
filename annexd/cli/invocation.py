"""One run of one command: where its messages go, the annex it works in, and how its actions end."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from annexd.cli.budget import LIMIT_REACHED, Budget
from annexd.cli.reporters.contract import Action, Reporter
from annexd.errors import AnnexError, UserError
from annexd.formats.paths import display

if TYPE_CHECKING:
    from annexd.annex.state import AnnexState, AutoInit
    from annexd.cli.news import LocationNews
    from annexd.cli.running import RunningTransfers
    from annexd.cli.seek import Item
    from annexd.formats.key import Key
    from annexd.transfer.limiter import Limiter


class Failed(Exception):
    """Ends an action as failed; the reason was said already."""


class Interrupted(Exception):
    """Ends an action that was stopped half-way, and is to be continued by another run."""


class Invocation:
    """What a command gets besides its options. Belongs to the main thread; the reporter to all."""

    def __init__(self, program: str, command: str, options: Namespace) -> None:
        self.program = program
        self.command = command
        self.acted = False      # whether any action began
        self.is_interrupted = False     # whether Ctrl-C asked the jobs to end
        self.presence_changed = False   # whether content came or went here
        self._options = options
        self._annex: AnnexState | None = None
        self.reporter: Reporter = _reporter(program, command, options)
        self.budget = Budget.of(options, self.reporter.write_warning)
        self._news: LocationNews | None = None
        _override_git_config(options.config)

    def annex(self, auto_init: AutoInit | None = None) -> AnnexState:
        """The annex around the current directory, opened once. Raises what AnnexState.open does."""
        from annexd.annex.state import AnnexState, AutoInit

        if self._annex is None:
            self._annex = AnnexState.open(os.getcwdb(), auto_init=auto_init or AutoInit.YES, environ=os.environb)
        return self._annex

    @cached_property
    def limiter(self) -> Limiter:
        """What holds this command's transfers back."""
        from annexd.transfer.limiter import limiter_of

        return limiter_of(self.annex(), os.environb)

    @cached_property
    def running(self) -> RunningTransfers:
        """The transfers that this command makes now."""
        from annexd.cli.running import RunningTransfers

        return RunningTransfers(lambda: self.limiter)

    @property
    def news(self) -> LocationNews:
        """Where content is now, as far as this command moved it and did not write that down yet."""
        if self._news is None:
            from annexd.cli.news import LocationNews

            self._news = LocationNews(self.annex().layout, self.annex().uuid)
        return self._news

    def fresh_annex(self, *, needs_locations: bool = True) -> AnnexState:
        """The annex, with what arrived from other repositories merged into its git-annex branch."""
        from annexd.annex import unrecorded

        annex = self.annex()
        if needs_locations:
            unrecorded.record_left_behind(annex)
            if self.save():
                self.recording()
            update = annex.branch.merge_siblings()
            for refused in update.refused:
                self.reporter.error(f"{os.fsdecode(refused.ref)} was not merged: {refused.reason}")
        return annex

    def acting_on(self, item: Item, command: str = "") -> AbstractContextManager[Action]:
        """The same for one item that a command works on."""
        subject = "" if item.name is None else display(item.name)
        return self.acting(subject, command=command, file=item.shown, key=item.key, given=item.given)

    @contextmanager
    def acting(
        self,
        subject: str = "",
        *,
        command: str = "",
        file: bytes | None = None,
        key: Key | None = None,
        given: Sequence[str] = (),
    ) -> Iterator[Action]:
        """One action: succeeds at the end of the block, fails by an AnnexError, an OSError or `Failed`."""
        self.acted = True
        action = self.reporter.begin(command or self.command, subject, file=file, key=key, given=given)
        try:
            yield action
        except Failed:
            action.fail()
        except Interrupted:
            action.give_up()
        except AnnexError as problem:
            action.error(str(problem))
            action.fail()
        except OSError as problem:
            action.error(_os_error(problem))
            action.fail()
        else:
            action.succeed()

    def recording(self) -> None:
        """Say, as git-annex does, that what was done is being written to git."""
        self.reporter.info("(recording state in git...)")

    def save(self) -> bool:
        """Commit what the journal holds to the git-annex branch, unless annex.alwayscommit forbids it; whether any."""
        annex = self.annex()
        was_news = self._news is not None and self._news.settle(annex)
        return (annex.config.always_commit and annex.branch.commit().moved) or was_news

    def conclude(self, *, anything_done: bool) -> int:
        """The usual end of a command that changes things: save, say so, and count the failures."""
        if anything_done and self.save():
            self.recording()
        return self.finish()

    def conclude_changes(self, *, staged: bool) -> int:
        """The same for a command that changes git's index, whatever became of the git-annex branch."""
        if self.save() or staged:
            self.recording()
        return self.finish()

    def jobs(self) -> int:
        """How many files to work on at a time: -J, else annex.jobs, else 1; always 1 for commands without -J.

        Raises UserError.
        """
        if not hasattr(self._options, "jobs"):
            return 1
        asked = getattr(self._options, "jobs", None) or self.annex().config.jobs or "1"
        if asked in ("cpus", "cpu"):
            return os.cpu_count() or 1
        if not asked.isdigit() or int(asked) < 1:
            raise UserError(f"bad number of jobs: {asked}")
        return int(asked)

    def finish(self) -> int:
        """The end of all actions: say how many failed; the exit status, 101 when a limit left something undone."""
        if self.presence_changed:
            from annexd.cli.adjusting import follow_presence

            follow_presence(self)
        status = self.reporter.finish()
        return LIMIT_REACHED if self.budget.was_reached else status

    def close(self) -> None:
        """End helper processes. What is not recorded yet, as after Ctrl-C, is recorded."""
        if self._annex is None:
            return
        try:
            if self._news is not None:
                self._news.settle(self._annex)
        finally:
            self._annex.close()
            self._annex = None


def _reporter(program: str, command: str, options: Namespace) -> Reporter:
    if getattr(options, "json", False) or getattr(options, "json_progress", False):
        from annexd.cli.reporters.json import JsonReporter

        with_progress = getattr(options, "json_progress", False)
        return JsonReporter(program, command, errors_inside=options.json_error_messages, progress=with_progress)
    from annexd.cli.reporters.text import QuietReporter, TextReporter

    kind = QuietReporter if options.quiet else TextReporter
    return kind(program, command, concurrent=getattr(options, "jobs", None) not in (None, "1"))


def _override_git_config(settings: Sequence[str]) -> None:
    """Have every git, ours and the ones we start, see these settings, as `git -c` does."""
    count = int(os.environ.get("GIT_CONFIG_COUNT", "0") or "0")
    for setting in settings:
        name, _, value = setting.partition("=")
        os.environ[f"GIT_CONFIG_KEY_{count}"] = name
        os.environ[f"GIT_CONFIG_VALUE_{count}"] = value
        count += 1
        os.environ["GIT_CONFIG_COUNT"] = str(count)


def _os_error(problem: OSError) -> str:
    name = problem.filename
    shown = os.fsdecode(name) if isinstance(name, (str, bytes)) else ""
    return f"{shown}: {problem.strerror}" if shown else str(problem)
