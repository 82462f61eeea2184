"""The same commands in twin repositories, one worked by annexd under git-annex's name and one by git-annex itself.

Output and exit status must be the same; what cannot be (progress bars, sizes of disks, places) is taken out first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.interop.sample import make_removable

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
THREE = "33333333-3333-4333-8333-333333333333"
MTIME = 1_700_000_000

PROGRESS = re.compile(r"\n?\r[^\r\n]*%[^\r\n]*\r *\r")
EMPTY_LINE_BEFORE_END = re.compile(r"[ \n]+(?=(ok|failed)\n)")
OURS_NOT = re.compile(r"^(bloom filter size|last synced|proxied|available local disk space): .*\n", re.MULTILINE)


@dataclass
class Said:
    """What a program answered."""

    status: int
    out: str
    err: str


@dataclass
class Side:
    """One of the twins: a program and its copy of the repositories."""

    name: str
    top: Path
    env: dict[str, str]

    def run(self, repo: str, argv: Sequence[str], stdin: str = "") -> Said:
        done = subprocess.run(
            argv, cwd=self.top / repo, env=self.env, capture_output=True, timeout=120,
            input=os.fsencode(stdin),
        )  # fmt: skip
        out, err = os.fsdecode(done.stdout), os.fsdecode(done.stderr)
        return Said(done.returncode, self._normal(out), self._normal_error(err))

    def git(self, repo: str, *args: str) -> str:
        said = self.run(repo, ["git", *args])
        assert said.status == 0, said
        return said.out

    def _normal(self, text: str) -> str:
        text = PROGRESS.sub("", text).replace("\r", "").replace(str(self.top), "TOP")
        text = re.sub(r'"(bloom filter size|available local disk space)":"[^"]*",', "", text)
        return OURS_NOT.sub("", EMPTY_LINE_BEFORE_END.sub(" ", text))

    def _normal_error(self, text: str) -> str:
        """Only what the program itself says, not git."""
        ours = re.compile(r"git-annex: |[\w-]+: \d+ failed$|error: pathspec")
        kept = [line for line in text.splitlines() if ours.match(line)]
        return "\n".join(kept).replace(str(self.top), "TOP")


@dataclass
class Twins:
    """Does everything twice."""

    sides: tuple[Side, Side]
    seen: list[str] = field(default_factory=list)

    def both(self, act: Callable[[Side], object]) -> None:
        for side in self.sides:
            act(side)

    def write(self, path: str, text: str) -> None:
        def act(side: Side) -> None:
            file = side.top / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.is_symlink():
                file.unlink()
            file.write_text(text)
            os.utime(file, (MTIME, MTIME))

        self.both(act)

    def git(self, repo: str, *args: str) -> None:
        self.both(lambda side: side.git(repo, *args))

    def do(self, repo: str, *args: str, stdin: str = "", says: str | None = None) -> Said:
        """Run `git-annex ARGS` in both, and compare. `says` must be in the answer, so as not to compare nothing."""
        ours, theirs = (side.run(repo, ["git-annex", *args], stdin) for side in self.sides)
        shown = f"git-annex {' '.join(args)} in {repo}"
        assert ours.out == theirs.out, shown + f"\nstderr: {ours.err}"
        assert ours.err == theirs.err, shown
        assert ours.status == theirs.status, shown
        assert says is None or says in theirs.out + theirs.err, f"{shown}: {theirs}"
        return theirs

    def do_loosely(self, repo: str, *args: str) -> None:
        """Compare the exit status only: git's own chatter is in the output."""
        ours, theirs = (side.run(repo, ["git-annex", *args]) for side in self.sides)
        assert ours.status == theirs.status, f"git-annex {' '.join(args)}: {ours} {theirs}"

    def same(self, repo: str, *args: str) -> None:
        """The same output of a git command."""
        ours, theirs = (side.git(repo, *args) for side in self.sides)
        assert ours == theirs, f"git {' '.join(args)}"


@pytest.fixture
def twins(tmp_path: Path, interop_env: dict[str, str]) -> Iterator[Twins]:
    """Repositories `one` and its clone `two`, initialised with fixed identities."""
    programs = tmp_path / "programs"
    programs.mkdir()
    script = programs / "git-annex"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom annexd.cli.main import main\nsys.exit(main())\n")
    script.chmod(0o755)
    ours = {**interop_env, "PATH": f"{programs}{os.pathsep}{interop_env['PATH']}"}
    sides = (Side("annexd", tmp_path / "a", ours), Side("git-annex", tmp_path / "g", dict(interop_env)))
    for side in sides:
        side.top.mkdir()
        (side.top / "one").mkdir()
        side.git("one", "init", "-q")
    pair = Twins(sides)
    pair.do("one", "reinit", ONE)
    pair.do("one", "describe", "here", "first")
    yield pair
    make_removable(tmp_path)


@pytest.fixture
def cloned(twins: Twins) -> Twins:
    """Four files in `one`, committed; `two` is a clone."""
    for name in ("a.txt", "b.txt", "d/c.bin", "empty"):
        twins.write(f"one/{name}", "" if name == "empty" else f"content of {name}\n")
    twins.do("one", "add", ".")
    twins.git("one", "commit", "-q", "-m", "files")
    twins.both(lambda side: side.run(".", ["git", "clone", "-q", "one", "two"]))
    twins.do("two", "reinit", TWO)
    twins.do("two", "describe", "here", "second")
    return twins


def key_of(twins: Twins, repo: str, file: str) -> str:
    return twins.do(repo, "lookupkey", file).out.strip()


def test_add(twins: Twins) -> None:
    twins.write("one/a.txt", "a\n")
    twins.write("one/b b", "b\n")
    twins.write("one/d/c", "c\n")
    twins.write("one/.dot", "dot\n")
    twins.write("one/empty", "")
    twins.do("one", "add", "a.txt", says="add a.txt ok")
    twins.do("one", "add", "a.txt")
    twins.do("one", "add", "--json", "b b", says='"success":true')
    twins.do("one", "add", "nothing-here", says="not found")
    twins.do("one", "add", "--json", "--json-error-messages", "nothing-here")
    twins.do("one", "add", ".dot", says="(dotfile; adding content to git repository)")
    twins.do("one", "add", ".")
    twins.same("one", "ls-files", "-s")
    twins.git("one", "config", "annex.largefiles", "largerthan=5b")
    twins.write("one/small", "s")
    twins.write("one/ignored.log", "x")
    twins.write("one/.gitignore", "*.log\n")
    twins.do("one", "add", "small", says="(non-large file; adding content to git repository)")
    twins.do("one", "add", "ignored.log")
    twins.do("one", "add", "--force-large", "--json", "ignored.log", "--no-check-gitignore")
    twins.same("one", "ls-files", "-s")
    twins.same("one", "status", "--porcelain")


def test_odd_file_names(twins: Twins) -> None:
    for name in ("é x", "a\nb", 'q"q', "-dash", "\udcff\udcfe"):
        twins.write(f"one/{name}", f"{name!r}\n")
    twins.do("one", "add", ".", says='add "a\\nb" ok')
    twins.do("one", "find", says='q"q')
    twins.do("one", "find", "--json")
    twins.do("one", "whereis")
    twins.do("one", "find", "--", "-dash", says="-dash")
    twins.do("one", "find", "--print0")
    twins.same("one", "ls-files", "-s")


def test_find(cloned: Twins) -> None:
    cloned.do("one", "find", says="d/c.bin")
    cloned.do("two", "find")
    cloned.do("one/d", "find", "..", says="../a.txt")
    cloned.do("one", "find", "--json", "d")
    cloned.do("one", "find", "b.txt", "a.txt", "d", says="b.txt\na.txt\nd/c.bin")
    cloned.do("one", "find", "nope", says="did not match any file")
    cloned.do("one", "find", "--format=${file} ${key} ${backend} ${bytesize} ${humansize} ${hashdirmixed}${nope}|\\n")
    cloned.do("two", "find", "--in", "origin", says="a.txt")
    cloned.do("two", "find", "--not", "--in", "here", "--and", "--include=*.txt", says="a.txt")
    cloned.do("two", "find", "--in=here", "--or", "--in=origin", says="a.txt")
    cloned.do("two", "find", "--copies", "2")
    cloned.do("two", "find", "--copies", "1", "--largerthan", "16", says="d/c.bin")
    cloned.do("two", "find", "--exclude=*.txt", "--not", "--in=here", says="empty")
    cloned.do("two", "find", "-(", "--in=here", "--or", "--include=d/*", "-)", "--inbackend=SHA256E", says="d/c.bin")
    cloned.do("two", "find", "--anything", "--or", "--nothing", "--nothing")
    cloned.do("two", "find", "--lackingcopies=1")
    cloned.do("two", "find", "--locked", says="a.txt")
    cloned.do("two", "find", "--unlocked")
    cloned.do("two", "find", "--in", "nobody", says="there is no available git remote")
    cloned.do("two", "find", "--copies=junk", says="bad number for copies")
    cloned.do("two", "find", "--branch", "master")
    cloned.do("one", "find", "--branch", "master", says="d/c.bin")
    cloned.do("two", "find", "--batch", stdin="a.txt\nnope\n")


def test_whereis(cloned: Twins) -> None:
    cloned.do("one", "whereis", says="(1 copy)")
    cloned.do("two", "whereis", "a.txt", says="[origin]")
    cloned.do("two", "whereis", "--json", "a.txt")
    cloned.do("two", "get", "a.txt")
    cloned.do("two", "whereis", "a.txt", says="(2 copies)")
    cloned.do("two", "whereis", "--key", key_of(cloned, "two", "a.txt"))
    cloned.do("two", "untrust", "origin")
    cloned.do("two", "whereis", "a.txt", says="untrusted")
    cloned.do("two", "whereis", "b.txt", "--json", says='"success":false')
    cloned.do("two", "whereis", "--batch", "--json", stdin="a.txt\nnope\n")
    cloned.do("two", "whereis", "nope")


def test_get_and_drop(cloned: Twins) -> None:
    cloned.do("two", "get", "a.txt", says="get a.txt (from origin...) ok")
    cloned.do("two", "get", "a.txt")
    cloned.do("two", "get", "--json", "d", says='"note":"from origin..."')
    cloned.do("two", "get", "nope")
    cloned.do("two", "get", "--from", "origin", "b.txt")
    cloned.do("two", "get", "--from", "nobody", says="there is no available git remote")
    cloned.do("two", "drop", "a.txt", says="drop a.txt ok")
    cloned.do("two", "drop", "a.txt")
    cloned.do("two", "drop", "--json", "b.txt")
    cloned.do("one", "drop", "b.txt", says="(unsafe)")
    cloned.do("one", "drop", "--json", "b.txt", says='"success":false')
    cloned.do("one", "drop", "--force", "b.txt")
    cloned.do("two", "get", ".", says="get b.txt")
    cloned.do("two", "get", "--json", "b.txt", says='"success":false')
    cloned.do("two", "drop", "a.txt")
    cloned.both(lambda side: (side.top / "one").rename(side.top / "away"))
    cloned.do("two", "get", "a.txt", says="Unable to access these remotes: origin")
    cloned.do("two", "get", "--json", "a.txt")
    cloned.do("two", "drop", "d/c.bin")


def test_copy_and_move(cloned: Twins) -> None:
    cloned.do("two", "copy", "a.txt", says="Specify --from or --to")
    cloned.do("two", "copy", "--from", "origin", "a.txt")
    cloned.do("two", "copy", "--to", "origin", "a.txt", says="copy a.txt ok")
    cloned.do("two", "copy", "--to", "origin", "--fast", "a.txt")
    cloned.do("two", "move", "--from", "origin", "--json", "a.txt")
    cloned.do("two", "drop", "a.txt", says="(unsafe)")
    cloned.do("two", "move", "--to", "origin", "a.txt", says="move a.txt (to origin...) ok")
    cloned.do("two", "move", "--to", "origin", "a.txt")
    cloned.do("two", "move", "--from", "origin", "b.txt")
    cloned.do("two", "drop", "--from", "origin", "d/c.bin", says="(unsafe)")
    cloned.do("two", "copy", "--to", "origin", "b.txt")
    cloned.do("two", "drop", "--from", "origin", "b.txt", says="drop b.txt (from origin...) ok")
    cloned.do("two", "move", "--to", "nobody", "b.txt")
    cloned.do("two", "whereis")
    cloned.do("one", "find", says="a.txt")


def test_numcopies_is_kept(cloned: Twins) -> None:
    cloned.do("two", "numcopies", says="(default is 1)")
    cloned.do("two", "numcopies", "2", says="numcopies 2 ok")
    cloned.do("two", "numcopies", says="2")
    cloned.do("two", "get", "a.txt")
    cloned.do("two", "drop", "a.txt", says="Could only verify the existence of 1 out of 2 necessary copies.")
    cloned.do("two", "drop", "a.txt", "--json")
    cloned.do("two", "drop", "a.txt", "--numcopies", "1")
    cloned.do("two", "numcopies", "0", says="Cannot set numcopies to 0.")
    cloned.do("two", "mincopies")
    cloned.do("two", "mincopies", "1")


def test_lock_and_unlock(cloned: Twins) -> None:
    cloned.do("one", "unlock", "a.txt", says="unlock a.txt ok")
    cloned.do("one", "unlock", "a.txt")
    cloned.do("one", "unlock", "--json", "b.txt")
    cloned.same("one", "ls-files", "-s")
    cloned.do("one", "lock", "a.txt", says="lock a.txt ok")
    cloned.write("one/b.txt", "modified\n")
    cloned.do("one", "lock", "b.txt", says="would discard any changes")
    cloned.do("one", "lock", "--json", "b.txt")
    cloned.do("one", "lock", "--force", "b.txt")
    cloned.do("two", "unlock", "a.txt")
    cloned.do("two", "lock", "a.txt")
    cloned.same("one", "status", "--porcelain")
    cloned.same("two", "status", "--porcelain")


def test_fsck(cloned: Twins) -> None:
    cloned.do("one", "fsck", says="fsck a.txt (checksum...) ok")
    cloned.do("one", "fsck", "--fast", "--json", "a.txt")
    cloned.do("one", "fsck", "--json", "a.txt")
    cloned.do("one", "numcopies", "2")
    cloned.do("one", "fsck", "a.txt")
    cloned.do("two", "fsck", "--fast")
    cloned.do("one", "numcopies", "1")

    def damage(side: Side) -> None:
        target = (side.top / "one" / "a.txt").resolve()
        target.parent.chmod(0o755)
        target.chmod(0o644)
        target.write_text("damaged of a.txt\n"[:17])

    cloned.both(damage)
    cloned.do("one", "fsck", "a.txt", says="failed")
    cloned.do("one", "fsck", "a.txt")


def test_keys(cloned: Twins) -> None:
    key = key_of(cloned, "one", "a.txt")
    cloned.do("one", "lookupkey", "a.txt", "nope", says=key)
    cloned.do("one", "lookupkey", "--batch", stdin="a.txt\nnope\n")
    cloned.write("one/new.tar.gz", "new\n")
    cloned.do("one", "calckey", "new.tar.gz", says=".tar.gz")
    cloned.do("one", "calckey", "nope")
    cloned.do("one", "calckey", "--backend=MD5", "new.tar.gz", says="MD5-s4--")
    cloned.do("one", "calckey", "--backend=WORM", "new.tar.gz", says="WORM-s4-m")
    cloned.do("one", "contentlocation", key, says=".git/annex/objects/")
    cloned.do("one", "contentlocation", "SHA256E-s1--absent")
    cloned.do("one", "contentlocation", "junk", says="bad key")
    cloned.do("one", "examinekey", key)
    cloned.do("one", "examinekey", "--json", key)
    cloned.do("one", "examinekey", "--json", "WORM-s3-m160--a,32b")
    cloned.do("one", "examinekey", key, "--format=${objectpath} ${objectpointer}${file}|\\x41\\n")
    cloned.do("one", "examinekey", "junk", says="bad key")
    cloned.do("one", "fromkey", key, "sub/x", says="fromkey sub/x ok")
    cloned.do("one", "fromkey", key, "sub/x")
    cloned.do("one", "fromkey", "--json", key, "sub/y")
    cloned.do("one", "fromkey", "SHA256E-s3--abc", "sub/z", says="is not present in backend")
    cloned.do("one", "readpresentkey", key, ONE)
    cloned.do("one", "readpresentkey", key, THREE)
    cloned.do("one", "setpresentkey", key, THREE, "1", says="ok")
    cloned.do("one", "readpresentkey", key, THREE)
    cloned.same("one", "ls-files", "-s")


def test_settings(cloned: Twins) -> None:
    cloned.do("one", "describe", "here", "renamed", "thing", says="describe here ok")
    cloned.do("one", "describe", "here", says="Specify a repository and a description.")
    cloned.do("one", "trust", "here", says="Trusting a repository can lead to data loss.")
    cloned.do("one", "trust", "--force", "here")
    cloned.do("one", "semitrust", "here")
    cloned.do("one", "untrust", ONE)
    cloned.do("one", "dead", "nobody", says="there is no available git remote")
    cloned.do("one", "trust", says="no repository name specified")
    cloned.do("one", "group", "here", "client")
    cloned.do("one", "group", "here", says="client")
    cloned.do("one", "ungroup", "here", "client")
    cloned.do("one", "group", "here")
    cloned.do("one", "group")
    cloned.do("one", "wanted", "here")
    cloned.do("one", "wanted", "here", "standard")
    cloned.do("one", "wanted", "here", says="standard")
    cloned.do("one", "required", "here", "include=*.txt")
    cloned.do("one", "required", "here", says="include=*.txt")
    cloned.do("one", "config", "--set", "annex.largefiles", "include=*.bin", says="ok")
    cloned.do("one", "config", "--get", "annex.largefiles", says="include=*.bin")
    cloned.do("one", "config", "--unset", "annex.largefiles")
    cloned.do("one", "config", "--get", "annex.largefiles")
    cloned.do("one", "config", "--set", "annex.nonsense", "x", says="not a configuration setting")
    for log in ("uuid.log", "trust.log", "group.log", "preferred-content.log", "required-content.log", "config.log"):
        cloned.both(lambda side: side.run("one", ["git-annex", "merge"]))
        logs = [side.git("one", "show", f"git-annex:{log}") for side in cloned.sides]
        ours, theirs = (re.sub(r"\d{10}s", "TIME", text) for text in logs)
        assert ours == theirs, log


def test_info(cloned: Twins) -> None:
    cloned.do("two", "info", "--fast")
    cloned.do("two", "info")
    cloned.do("two", "info", "--json", "--fast")
    cloned.do("two", "info", "a.txt", says="present: false")
    cloned.do("two", "info", "--json", "a.txt")
    cloned.do("two", "info", "--bytes", "a.txt")
    cloned.do("one", "info", "d")
    cloned.do("one", "info", "--json", "d")
    cloned.do("two", "info", "--fast", "nobody", says="not a directory or an annexed file")
    cloned.do("two", "info", "here")
    cloned.do("two", "info", "--fast", "origin", says="remote: origin")


def test_sync_leaves_the_same_histories(cloned: Twins) -> None:
    cloned.do("two", "get", "a.txt")
    cloned.write("two/new", "new\n")
    cloned.do("two", "add", "new")
    cloned.do_loosely("two", "sync", "--no-content")
    cloned.do_loosely("two", "sync", "--content")
    cloned.do_loosely("one", "merge")
    cloned.do("one", "whereis", says="new (2 copies)")
    cloned.do("two", "whereis")
    for repo in ("one", "two"):
        cloned.same(repo, "log", "--format=%s", "master")
        cloned.same(repo, "rev-parse", "master^{tree}")
        cloned.same(repo, "for-each-ref", "--format=%(refname)", "refs/heads")
    cloned.write("one/late", "late\n")
    cloned.do_loosely("one", "assist")
    cloned.do_loosely("two", "pull")
    cloned.do("two", "find", says="late")


def test_init_and_the_hook_commands(twins: Twins) -> None:
    twins.do("one", "init", says="init ok")
    twins.do("one", "init", "--json")
    twins.do("one", "init", "other", "name", says="init other name ok")
    twins.do("one", "pre-commit", ".")
    twins.do("one", "post-receive")
    twins.do("one", "pre-push")
    twins.do("one", "smudge", "--update")
    twins.do("one", "restage", says="restage")
    twins.both(lambda side: (side.top / "bare").mkdir())
    twins.git("bare", "init", "-q", "--bare")
    twins.do("bare", "init", "bare")
    for key in ("annex.version", "filter.annex.process", "filter.annex.clean", "filter.annex.smudge"):
        twins.same("one", "config", key)
    for file in ("info/attributes", "hooks/pre-commit", "hooks/post-receive", "hooks/post-checkout", "hooks/pre-push"):
        ours, theirs = ((side.top / "one/.git" / file).read_text() for side in twins.sides)
        assert ours == theirs, file


def test_mistakes_on_the_command_line_end_with_status_1(twins: Twins) -> None:
    for args in (["no-such-command"], ["find", "--no-such-option"], ["get", "--include"], []):
        ours, theirs = (side.run("one", ["git-annex", *args]) for side in twins.sides)
        assert ours.status == theirs.status == 1, args
        assert ours.out == theirs.out == ""
    twins.both(lambda side: (side.top / "plain").mkdir())
    twins.do_loosely("plain", "find")
    twins.git("plain", "init", "-q")
    twins.do_loosely("plain", "find")


def test_smudge_and_clean_of_single_files(cloned: Twins) -> None:
    key = key_of(cloned, "one", "a.txt")
    pointer = f"/annex/objects/{key}\n"
    cloned.do("one", "smudge", "--", "a.txt", stdin=pointer, says=key)
    cloned.do("one", "smudge", "--clean", "--", "a.txt", stdin=pointer, says=key)
    cloned.write("one/plain", "plain\n")
    cloned.do("one", "smudge", "--clean", "--", "plain", stdin="plain\n", says="plain")
    cloned.git("one", "config", "annex.largefiles", "anything")
    cloned.do("one", "smudge", "--clean", "--", "plain", stdin="plain\n", says="/annex/objects/SHA256E-s6--")
    cloned.do("one", "smudge", "--update")
