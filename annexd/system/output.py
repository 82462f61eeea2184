"""The output of a program, read while it runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from annexd.errors import ProcessError

PIECE = 1 << 18


def output_of(argv: Sequence[bytes], env: Mapping[bytes, bytes]) -> Iterator[bytes]:
    """Pieces of what the program writes, as they come; it is ended when the iterator is closed early.

    Raises ProcessError when it fails, after what it wrote until then.
    """
    with open(os.memfd_create("stderr"), "r+b", buffering=0) as errors:
        try:
            process = subprocess.Popen(
                list(argv), env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        except OSError as error:
            raise ProcessError(argv, 127, str(error).encode()) from error
        assert process.stdout is not None       # asked for above
        try:
            while piece := os.read(process.stdout.fileno(), PIECE):
                yield piece
            if process.wait() != 0:
                errors.seek(0)
                raise ProcessError(argv, process.returncode, errors.read(1 << 14))
        finally:
            process.stdout.close()
            if process.poll() is None:
                process.kill()
                process.wait()
