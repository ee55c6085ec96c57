# SPDX-License-Identifier: MIT
"""How the workers of a peer tell the bench that a job is done, at next to no cost: a number in a file of the
process's own, mapped. And the two jobs, the same for each peer."""

import mmap
import os
import subprocess
from pathlib import Path

_page: mmap.mmap | None = None
_done = 0


def _count() -> None:
    global _page, _done
    if _page is None:
        path = Path(os.environ["BENCH_COUNTERS"], str(os.getpid()))
        path.write_bytes(bytes(8))
        with open(path, "r+b") as file:
            _page = mmap.mmap(file.fileno(), 8)
    _done += 1
    _page[:8] = _done.to_bytes(8, "little")


def noop(body: bytes) -> None:
    _count()


def program(body: bytes) -> None:
    """As skep runs a command: the body on its standard input, both outputs read to their end."""
    subprocess.run(["/bin/true"], input=body, capture_output=True, check=True)
    _count()


JOBS = {"noop": noop, "program": program}
