#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The embedded queue: submits and runs a second, with little and with much that waits or is recorded, each against a
bare SQLite loop (rows.c) that makes the same row changes in the same batches on a copy of the same database.

    bench/nobroker.py [--most N] [--results FILE]

A node with two workers and the no-op service in C, all else by default. Rates are medians of five samples, each followed by
one of the loop, and a ratio is the median of theirs. README.md says more. Exit 1 if a promise is missed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import ROOT, TOOLS, Skep, cpu_ns, median, wait_count, wait_until, write_result

from embedded import Embedded  # of tests/lib, where measure looks, too

WORKERS = 2
BODY = "x" * 100
SAMPLE, SAMPLES = 10_000, 5
LINES = 50_000
ALONE, TOGETHER, CONNECTIONS = 1000, 500, 16
CHUNK = 5000  # jobs in one request of a fill
LEAST_RATIO, MOST_GROWTH = 0.5, 1.3
WANTED = {
    "rows": "skep_store_rows_total",
    "commits": "skep_store_commit_duration_seconds_count",
    "ended": "skep_jobs_ended_total",
}


def say(text: str) -> None:
    print(text, flush=True)


class Node:
    """A node of its own whose queue is paused but while something is measured."""

    def __init__(self, directory: Path):
        self.skep = Skep(directory, Embedded())
        self.skep.consume("work", "embedded", workers=WORKERS)
        self.skep.sections["handler noop"] = {"service": str(TOOLS / "noop"), "warmup": "yes"}
        self.skep.start()
        self.queue("pause")

    def queue(self, what: str) -> None:
        assert self.skep.post(f"/v1/queues/work/{what}").status == 200

    def counters(self) -> dict[str, float]:
        found = dict.fromkeys(WANTED, 0.0)
        for line in self.skep.get("/metrics").body.decode().splitlines():
            for name, metric in WANTED.items():
                if line.startswith((metric + " ", metric + "{")):
                    found[name] += float(line.rpartition(" ")[2])
        return found

    def settled(self) -> dict[str, float]:
        """The counters once nothing moves any more; the board is a moment behind."""
        last: list[dict[str, float]] = [{}]

        def still() -> bool:
            time.sleep(0.1)
            before, last[0] = last[0], self.counters()
            return before == last[0]

        wait_until(still, "an idle node", 60)
        return last[0]

    def ready(self) -> int:
        return self.skep.broker.depth("work")

    def fill(self, count: int, **members: Any) -> None:
        line = json.dumps({"type": "noop", "queue": "work", "body": BODY} | members) + "\n"
        for at in range(0, max(0, count), CHUNK):
            n = min(CHUNK, count - at)
            told = self.skep.http("POST", "/v1/jobs", line * n, {"Content-Type": "application/x-ndjson"}, 120)
            assert told.status == 200 and told.body.count(b'"id"') == n, told.body[:300]

    def bring_to(self, ready: int) -> None:
        while self.ready() > ready:
            self.drain(min(self.ready() - ready, 100_000))
        self.fill(ready - self.ready())

    def wait_ended(self, count: float) -> None:
        wait_count(lambda: self.counters()["ended"], count)

    def drain(self, count: int) -> float:
        """Resumes the queue; the seconds until so many have ended. (It is paused afterwards.)"""
        before = self.settled()["ended"]
        began = time.monotonic()
        self.queue("resume")
        self.wait_ended(before + count)
        took = time.monotonic() - began
        self.queue("pause")
        return took


@contextmanager
def node_in(scratch: Path, name: str):
    directory = scratch / name
    directory.mkdir()
    node = Node(directory)
    try:
        yield node
    finally:
        node.skep.clean_up()
        shutil.rmtree(directory)


# --- the bare loop --------------------------------------------------------------------------------------


class Bare:
    """On a copy of the node's database as it is now. The node is stopped while it is copied."""

    def __init__(self, node: Node, scratch: Path):
        self.path = scratch / "bare.db"
        node.skep.stop()
        (database,) = (node.skep.dir / "state").glob("*.db")
        shutil.copyfile(database, self.path)
        node.skep.start()

    def rate(self, what: str, jobs: int, batch: float) -> float:
        """Jobs a second, and the same rows for each as the node changed."""
        told = subprocess.run(
            [TOOLS / "rows", self.path, what, str(jobs), str(max(1, round(batch)))],
            capture_output=True, text=True, check=True,
        ).stdout.split()
        assert int(told[0]) == jobs * {"submit": 3, "run": 7}[what], told
        return jobs / (int(told[1]) / 1e9)

    def remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)


# --- what is measured -----------------------------------------------------------------------------------


def runs(node: Node, pile: int, scratch: Path) -> dict[str, Any]:
    """Jobs that wait are run, SAMPLE at a time out of a pile that is filled up again in between."""
    rates, loop, cpu, batches = [], [], [], []
    node.bring_to(max(pile, SAMPLE * SAMPLES))  # enough for the loop
    bare = Bare(node, scratch)
    for _ in range(SAMPLES):
        node.bring_to(pile)
        before, store = node.settled(), node.skep.pid("store")
        spent = cpu_ns(store)
        rates.append(SAMPLE / node.drain(SAMPLE))
        after = node.settled()
        done = after["ended"] - before["ended"]
        cpu.append((cpu_ns(store) - spent) / 1000 / done)
        batches.append(done / (after["commits"] - before["commits"]))
        assert round((after["rows"] - before["rows"]) / done) == 7, (before, after)
        loop.append(bare.rate("run", SAMPLE, batches[-1]))
    bare.remove()
    return row(rates, loop) | {"batch": round(median(batches), 1), "store_cpu_us": round(median(cpu), 1)}


def row(rates: list[float], loop: list[float]) -> dict[str, Any]:
    return {
        "rate": round(median(rates)),
        "rates": [round(rate) for rate in rates],
        "bare": round(median(loop)),
        "ratio": round(median(rate / bare for rate, bare in zip(rates, loop)), 3),
    }


def by_program(node: Node, connections: int, requests: int) -> float:
    command = [TOOLS / "submit", node.skep.socket, str(connections), str(requests), str(len(BODY))]
    took = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(took) / 1e9


def by_lines(node: Node, count: int) -> float:
    command = [ROOT / "build" / "bin" / "skep", "-c", node.skep.config_path, "submit", "noop", "--queue", "work", "--lines"]
    began = time.monotonic()
    subprocess.run(command, input=(BODY + "\n") * count, text=True, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began


def submits(node: Node, scratch: Path) -> dict[str, Any]:
    ways = {
        "one by one": (ALONE, lambda: by_program(node, 1, ALONE)),
        "16 connections": (CONNECTIONS * TOGETHER, lambda: by_program(node, CONNECTIONS, TOGETHER)),
        "--lines": (LINES, lambda: by_lines(node, LINES)),
    }
    bare = Bare(node, scratch)
    told = {}
    for name, (count, way) in ways.items():
        rates, loop, batches = [], [], []
        for _ in range(SAMPLES):
            before = node.settled()
            rates.append(count / way())
            batches.append(count / (node.settled()["commits"] - before["commits"]))
            loop.append(bare.rate("submit", count, batches[-1]))
        told[name] = row(rates, loop) | {"batch": round(median(batches), 1)}
    bare.remove()
    return told


def whole(node: Node, scratch: Path) -> dict[str, Any]:
    """From the first submit to the last recorded result, both at once."""
    rates, loop, batches = [], [], []
    bare = Bare(node, scratch)
    node.queue("resume")
    for _ in range(SAMPLES):
        before = node.settled()
        began = time.monotonic()
        by_lines(node, LINES)
        node.wait_ended(before["ended"] + LINES)
        rates.append(LINES / (time.monotonic() - began))
        batches.append(2 * LINES / (node.settled()["commits"] - before["commits"]))
        submit, run = (bare.rate(what, LINES, batches[-1]) for what in ("submit", "run"))
        loop.append(1 / (1 / submit + 1 / run))
    node.queue("pause")
    bare.remove()
    return row(rates, loop) | {"batch": round(median(batches), 1)}


def show(what: str, r: dict[str, Any]) -> None:
    cpu = f", store {r['store_cpu_us']:.1f} us a job" if "store_cpu_us" in r else ""
    say(f"  {what:<44}{r['rate']:>8}/s {r['bare']:>8}/s {r['ratio']:>6.2f}   {r['batch']:g} a commit{cpu}")


def measure_all(scratch: Path, most: int) -> dict[str, Any]:
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size <= most]
    result: dict[str, Any] = {"whole": {}, "submit": {}, "run": {}}

    def look(node: Node, what: str, pile: int) -> None:
        result["run"][what] = runs(node, pile, scratch)
        show(f"run, {what}", result["run"][what])
        result["submit"][what] = submits(node, scratch)
        for way, told in result["submit"][what].items():
            show(f"submit {way}, {what}", told)

    say(f"  {'':<44}{'skep':>10} {'bare loop':>10} {'ratio':>6}")
    with node_in(scratch, "whole") as node:
        result["whole"] = whole(node, scratch)
        show("submit to recorded result, both at once", result["whole"])
    for size in sizes:
        with node_in(scratch, f"ready-{size}") as node:
            node.fill(size)
            look(node, f"{size} ready", size)
            if size == sizes[-1]:
                while node.ready():
                    node.drain(min(node.ready(), 100_000))
                look(node, f"{size} recorded", SAMPLE)
    for size in sizes:
        with node_in(scratch, f"delayed-{size}") as node:
            node.fill(size, delay="30d")
            look(node, f"{size} delayed", SAMPLE)
    return result | {"missed": judge(result, sizes)}


def judge(result: dict[str, Any], sizes: list[int]) -> list[str]:
    missed = []
    held = {"submit to recorded result": result["whole"]} | {f"run, {k}": r for k, r in result["run"].items()}
    for what, told in held.items():
        if told["ratio"] < LEAST_RATIO:
            missed.append(f"{what}: {told['ratio']:.2f} of the bare loop, promised {LEAST_RATIO}")
    first = result["run"][f"{sizes[0]} ready"]
    for kind in ("ready", "recorded", "delayed"):
        last, begin = result["run"][f"{sizes[-1]} {kind}"], result["run"].get(f"{sizes[0]} {kind}", first)
        growth = max(begin["rate"] / last["rate"], last["store_cpu_us"] / begin["store_cpu_us"])
        say(f"  a job costs {growth:.2f} times as much with {sizes[-1]} {kind} as with {sizes[0]}")
        if growth > MOST_GROWTH:
            missed.append(f"{kind}: {growth:.2f} times the cost, promised {MOST_GROWTH}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=1_000_000, help="jobs that wait, at most (10000, 100000, 1000000)")
    parser.add_argument("--results", type=Path, default=ROOT / "bench" / "results" / "embedded.json")
    args = parser.parse_args()
    parent = Path(os.environ.get("SKEP_BENCH_DIR", ROOT / "build"))  # a real disk
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
    try:
        result = measure_all(scratch, args.most)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    settings = {"workers": WORKERS, "body_bytes": len(BODY), "sample": SAMPLE, "samples": SAMPLES, "most": args.most}
    write_result("embedded", __doc__.splitlines()[0], settings, result, args.results)
    for text in result["missed"]:
        say(f"  MISSED: {text}")
    return 1 if result["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
