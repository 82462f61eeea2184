"""What the real git and git-annex must say of a repository after annexd worked in it."""

from __future__ import annotations

from pathlib import Path

from tests.interop.sample import json_lines, run


class Oracle:
    """Asks the real git and git-annex; every method asserts."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env

    def annex(self, repo: Path, *args: str, status: int | None = 0) -> str:
        return run(["git-annex", *args], repo, self.env, status=status)

    def git(self, repo: Path, *args: str, status: int | None = 0) -> str:
        return run(["git", *args], repo, self.env, status=status)

    def assert_sound(self, repo: Path, *, numcopies_may_fail: bool = False, ran_git_annex: bool = False) -> None:
        """git fsck, git status and git annex fsck find nothing to complain about and nothing to repair.

        Where git-annex itself was at work (`ran_git_annex`) it may find its own notes of inodes out of date.
        """
        assert "dangling" not in self.git(repo, "fsck", "--strict", "--no-dangling")
        assert self.git(repo, "status", "--porcelain") == "", "git status is not clean"
        self.annex(repo, "merge")  # what is in the journal counts, and must not look like a correction below
        tip = self.git(repo, "rev-parse", "git-annex")
        out = self.annex(repo, "fsck", "--json", "--json-error-messages", status=None)
        for line in json_lines(out):
            errors = [str(e) for e in line["error-messages"]]  # type: ignore[attr-defined]
            if numcopies_may_fail and any("copies" in e or "trusted" in e for e in errors):
                continue
            if ran_git_annex:
                named = str(line["file"])       # on a line of its own where the name has more than one
                errors = [error for error in errors if "inode cache" not in error and error != named]
            assert not errors, f"fsck of {line['file']}: {errors}"
            assert "fixing" not in str(line.get("note", "")), f"fsck had to repair {line['file']}: {line}"
        self.annex(repo, "merge")
        after = self.changed_logs(repo, tip.strip())
        assert not after, f"fsck corrected location logs: {after}"

    def changed_logs(self, repo: Path, tip: str) -> list[str]:
        """Location logs that changed on the git-annex branch since `tip`."""
        out = self.git(repo, "diff", "--name-only", tip, "git-annex")
        logs = [name for name in out.splitlines() if name.endswith(".log") and "/" in name]
        # fsck notes the absence of url keys, which nobody has looked at before, also in repositories of its own
        return [name for name in logs if "URL--" not in name]

    def whereis(self, repo: Path) -> dict[str, frozenset[str]]:
        """File -> uuids, as git-annex sees it."""
        return whereis_of(self.annex(repo, "whereis", "--json", status=None))


def whereis_of(text: str) -> dict[str, frozenset[str]]:
    """Parse `whereis --json`: file -> uuids of trusted and untrusted places together."""
    found = {}
    for line in json_lines(text):
        places = [*line["whereis"], *line.get("untrusted", [])]  # type: ignore[misc]
        found[str(line.get("file", line["key"]))] = frozenset(str(place["uuid"]) for place in places)  # type: ignore[index]
    return found
