# SPDX-License-Identifier: MIT
"""What every part of the bench needs: a node and a broker to measure, exact CPU time, memory, medians.

A part is a module of this folder with

    TITLE: str                          one line
    run(ctx: Context) -> dict           measures; what json can write: medians and every single value
    report(result: dict) -> list[str]   the same as lines for people

and a row in bench.py. Nothing here knows what is measured.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from broker import Broker  # noqa: E402
from rabbitmq import Rabbit, descendants  # noqa: E402
from skep import Skep  # noqa: E402
from waiting import wait_until  # noqa: E402

TOOLS = ROOT / "build" / "bench"  # programs of this folder, by `make bench-programs`
PYTHON = "/usr/bin/python3"
LOAD_BEFORE = round(os.getloadavg()[0], 2)  # of whatever else this machine does


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def spread(values: Iterable[float], digits: int = 3) -> dict[str, Any]:
    """The median of some values, and the values."""
    listed = [round(value, digits) for value in values]
    return {"median": round(median(listed), digits), "values": listed}


# --- waiting -----------------------------------------------------------------------------------------

LOOK_FIRST, LOOK_LEAST, LOOK_MOST = 0.02, 0.001, 0.05  # seconds


def wait_count(count: Callable[[], float], wanted: float, seconds: float = 120) -> None:
    """Until count() has come to what is wanted. A look costs what is looked at: after each, a quarter of the time that
    is left at the rate so far goes by. So they are few, and the last ones close together."""
    began, first = time.monotonic(), count()
    pause, now = LOOK_FIRST, first
    while now < wanted:
        passed = time.monotonic() - began
        assert passed < seconds, f"{now - first} of {wanted - first} after {seconds} s"
        if now > first:
            left = passed * (wanted - now) / (now - first)
            pause = min(max(left / 4, LOOK_LEAST), LOOK_MOST)
        time.sleep(pause)
        now = count()


REST_SHARE, REST_LOOK, REST_MOST = 0.05, 0.2, 10.0  # of a core; seconds; seconds


def wait_rest(pid: int) -> None:
    """Until a process has next to nothing to do: a broker that was just filled or emptied is busy for a while with files
    that nobody reads any more. One that finds no rest is not waited for."""
    deadline = time.monotonic() + REST_MOST
    while time.monotonic() < deadline:
        before = cpu_ns(pid)
        time.sleep(REST_LOOK)
        if cpu_ns(pid) - before < REST_SHARE * REST_LOOK * 1e9:
            return


# --- CPU and memory --------------------------------------------------------------------------------


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process. Exact: the ticks of /proc/PID/stat miss what runs for less than one.
    Threads and children that have ended meanwhile are not in it."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def tree_cpu_ns(pid: int) -> int:
    """The same of a process and all that is below it now."""
    total = 0
    for member in [pid, *descendants(pid)]:
        try:
            total += cpu_ns(member)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def pss_kib(pid: int) -> int:
    """Memory now, a page that several processes share counted once in all."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"no Pss of process {pid}")


def peak_rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise ValueError(f"no VmHWM of process {pid}")


class Meter:
    """CPU time of some processes between start() and stop(); `pids` are by any name, several may add up."""

    def __init__(self, pids: dict[str, list[int]]):
        self.pids = pids
        self.before: dict[str, int] = {}
        self.began_ns = 0

    def _now(self) -> dict[str, int]:
        return {name: sum(map(cpu_ns, pids)) for name, pids in self.pids.items()}

    def start(self) -> None:
        self.before = self._now()
        self.began_ns = time.monotonic_ns()

    def stop(self, per: int = 1) -> dict[str, float]:
        """Microseconds by name, for each of `per` jobs."""
        return {name: (ns - self.before[name]) / 1000 / per for name, ns in self._now().items()}


def node_pids(node: Skep) -> dict[str, list[int]]:
    """The processes of a node by role: supervisor, worker, store, courier, gateway; `service` is all that the
    workers have below them."""
    found: dict[str, list[int]] = {"supervisor": [node.process.pid]}
    for child in node.children().values():
        role = child.program.removeprefix("skep-")
        found.setdefault(role, []).append(child.pid)
    found["service"] = [pid for worker in found.get("worker", []) for pid in descendants(worker)]
    return found


# --- what a part is given ----------------------------------------------------------------------------


@dataclass
class Context:
    rabbit: Rabbit  # private to this run
    dir: Path  # scratch, on a real disk
    rounds: int
    messages: int  # of a throughput round
    quick: bool  # a look, not a measurement
    options: dict[str, str] = field(default_factory=dict)  # -o name=value, for single parts
    vhosts: dict[str, str] = field(default_factory=dict)  # in use, by kind

    def broker(self, kind: str = "") -> Broker:
        """A vhost for all that is of one kind, such as a type of queue; whoever uses it deletes its queues. (One for
        each measurement would be a store of messages each, which an ordinary broker does not have.)"""
        if kind not in self.vhosts:
            self.vhosts[kind] = self.rabbit.take_vhost()
        return Broker(self.rabbit, self.vhosts[kind])

    def beam(self) -> int:
        """The broker's process."""
        return self.rabbit.server.pid

    def node(self, broker: Broker) -> Skep:
        """A node of the release build with the default settings, in a directory of its own, not started: see
        tests/lib/skep.py. End it with clean_up()."""
        node = Skep(Path(tempfile.mkdtemp(prefix="n", dir=self.dir)), broker, build=ROOT / "build" / "bin")
        return node

    def say(self, text: str) -> None:
        print(text, flush=True)


def fill(broker: Broker, queue: str, count: int, body_bytes: int, ids: str = "random") -> None:
    """Persistent messages with a type and a random UUID as message_id (or none), as any producer's; all confirmed,
    so that the broker has nothing left to do for them."""
    subprocess.run(
        [TOOLS / "fill", broker.url(), queue, str(count), str(body_bytes), "noop", ids], check=True, timeout=300
    )


def write_result(name: str, title: str, settings: dict[str, Any], result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"part": name, "title": title, "machine": machine(), "settings": settings, "result": result}
    path.write_text(json.dumps(whole, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What the numbers are worth nothing without."""

    def first(pattern: str, text: str) -> str:
        return next((line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(pattern)), "")

    def package(name: str) -> str:
        asked = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
        return asked.stdout if asked.returncode == 0 else "?"

    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": first("model name", Path("/proc/cpuinfo").read_text()),
        "memory_mib": int(first("MemTotal", Path("/proc/meminfo").read_text()).split()[0]) >> 10,
        "kernel": os.uname().release,
        "rabbitmq": package("rabbitmq-server"),
        "erlang": package("erlang-base"),
        "librabbitmq": package("librabbitmq4"),
        "python": sys.version.split()[0],
        "date": time.strftime("%Y-%m-%d"),
        "load_before": LOAD_BEFORE,
    }
