# SPDX-License-Identifier: MIT
"""What every peer is: a package, settings to be measured under, processes while it runs."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from measure import PYTHON, Context

WORK = Path(__file__).resolve().parent / "work"
START_SECONDS = 30


class MissingPackage(Exception):
    """Says which."""


@dataclass(frozen=True)
class Setting:
    """One way to run a peer; `guarantee` is what is left of a job after a power failure at its end, by its documentation."""

    name: str
    guarantee: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    slower: int = 1  # so many times fewer jobs in a round, for it to last some seconds


def need(package: str, there: bool) -> None:
    if not there:
        raise MissingPackage(f"the Debian package '{package}' is not installed: run `make bench-deps`")


def need_program(package: str, program: str) -> str:
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
    need(package, found is not None)
    return str(found)


def need_module(package: str, module: str) -> None:
    done = subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True)
    need(package, done.returncode == 0)


class Running:
    """A peer at work. Its processes die with this one, are children of it and are stopped by stop()."""

    def __init__(self, ctx: Context, setting: Setting, job: str, workers: int):
        self.ctx, self.setting, self.job, self.workers = ctx, setting, job, workers
        self.dir = Path(tempfile.mkdtemp(prefix="p", dir=ctx.dir))
        self.counters = self.dir / "counters"
        self.counters.mkdir()
        self.started: list[subprocess.Popen] = []

    # what a peer defines

    def start(self) -> None:
        """Returns when the workers wait for jobs."""
        raise NotImplementedError

    def fill(self, count: int, size: int) -> None:
        raise NotImplementedError

    def server_pids(self) -> list[int]:
        raise NotImplementedError

    def worker_pids(self) -> list[int]:
        raise NotImplementedError

    def is_recorded(self, count: int) -> bool:
        """Results are where they are kept, if any are."""
        return True

    # what all of them need

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "HOME")}
        return kept | {"PYTHONPATH": str(WORK), "BENCH_COUNTERS": str(self.counters)}

    def spawn(self, *command: Any) -> subprocess.Popen:
        with open(self.dir / "log", "ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command)],
                env=self.environment(),
                cwd=self.dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def call(self, *command: Any) -> None:
        subprocess.run([*map(str, command)], env=self.environment(), cwd=self.dir, check=True, timeout=300)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = START_SECONDS, every: float = 0.02) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [p for p in self.started if p.poll() is not None]
            late = time.monotonic() > deadline
            if ended or late:
                log = (self.dir / "log").read_text(errors="replace")[-2000:]
                why = f"ended with {ended[0].returncode}" if ended else f"not within {seconds} s"
                raise AssertionError(f"{what}: {why}\n{log}")
            time.sleep(every)

    def done(self) -> int:
        return sum(int.from_bytes(path.read_bytes(), "little") for path in self.counters.iterdir())

    def wait_done(self, count: int) -> None:
        self.wait(lambda: self.done() >= count and self.is_recorded(count), f"{count} jobs", 180, 0.003)

    def stop(self) -> None:
        for process in reversed(self.started):
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
