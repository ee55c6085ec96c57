# SPDX-License-Identifier: MIT
"""The largest memory that each process of a node ever had, watched from outside while it works."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from skep import Skep

LOOK_SECONDS = 0.02
KIB = 1024


@dataclass
class Peak:
    """Bytes."""

    resident: int = 0  # VmHWM: with what it maps of others' memory
    own: int = 0  # RssAnon: what it has allocated
    mapped: int = 0  # RssShmem: bodies that it reads out of memfds


def _fields(path: Path) -> dict[str, int]:
    """The lines `Name: number kB` of a file of /proc, in bytes."""
    found = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            found[words[0].rstrip(":")] = int(words[1]) * KIB
    return found


def shared_memory() -> int:
    """All memfds of the machine, also those that are in a socket between two processes."""
    return _fields(Path("/proc/meminfo"))["Shmem"]


class Peaks:
    """with Peaks(skep) as peaks: ...; peaks.of["store"].resident. Workers set their VmHWM back before each
    command, hence the watching; a peak between two looks still shows unless a command was started between."""

    def __init__(self, skep: Skep):
        self.skep = skep
        self.of: dict[str, Peak] = {}
        self.shared = 0  # above what there was at the start
        self.log = 0  # the write-ahead log of the database
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peaks":
        self._before = shared_memory()
        self._pids = {name: child.pid for name, child in self.skep.children().items()}
        self._pids["skepd"] = self.skep.process.pid
        self.of = {name: Peak() for name in self._pids}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.is_set():
            self._look()
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        for name, pid in self._pids.items():
            with suppress(OSError, KeyError):
                now, peak = _fields(Path(f"/proc/{pid}/status")), self.of[name]
                peak.resident = max(peak.resident, now["VmHWM"])
                peak.own = max(peak.own, now["RssAnon"])
                peak.mapped = max(peak.mapped, now["RssShmem"])
        self.shared = max(self.shared, shared_memory() - self._before)
        for log in (self.skep.dir / "state").glob("*-wal"):
            with suppress(OSError):
                self.log = max(self.log, log.stat().st_size)

    def worst(self, prefix: str) -> Peak:
        """Of all processes whose name begins so, field by field."""
        some = [peak for name, peak in self.of.items() if name.startswith(prefix)]
        return Peak(max(p.resident for p in some), max(p.own for p in some), max(p.mapped for p in some))
