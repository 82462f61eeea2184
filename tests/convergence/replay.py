"""Does the operations of a log again, at the same moments: python -m tests.convergence.replay LOG [UNLOCKED]

The topology is read from the names of the sides in the log's first line; what comes out is judged as in the test.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.convergence.ground import Ground, made
from tests.convergence.person import Person
from tests.support.environment import isolated

Line = dict[str, object]


def main() -> None:
    """The end status tells whether it ended well."""
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    setting, lines = lines[0]["args"], lines[1:]
    top = Path(tempfile.mkdtemp(prefix="replay-"))
    env = isolated(top / "home")
    os.environ.update(env)
    seed, topology, unlocked, annexed = int(setting[0]), setting[1].split(","), setting[2], setting[3]
    with made(top, env, seed, topology, unlocked=unlocked, annexed=annexed) as ground:
        ground.start()
        begin = time.monotonic() - float(lines[0]["at"]) if lines else 0.0
        parts = {side: [line for line in lines if line["side"] == side] for side in ("", *ground.sides)}
        threads = [
            threading.Thread(target=_play, args=(ground, side, seed, part, begin)) for side, part in parts.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ground.settle(60.0)
        ground.judge()
    print(f"all is well in {top}")


def _play(ground: Ground, side: str, seed: int, lines: list[Line], begin: float) -> None:
    person = Person(ground.sides[side].repo, side, seed, ground.chronicle, ground.env) if side else None
    for line in lines:
        time.sleep(max(0.0, begin + float(str(line["at"])) - time.monotonic()))
        args = [os.fsencode(arg) if isinstance(arg, str) and person else arg for arg in line["args"]]  # type: ignore[attr-defined]
        if person is None:
            ground.happen(str(line["do"]), *args)
        elif not str(line["do"]).startswith("#"):
            person.do(str(line["do"]), args)


if __name__ == "__main__":
    main()
