# SPDX-License-Identifier: MIT
"""(a) and (b): a queue that is full, emptied by a bare librabbitmq consumer and by a node of skep.

Both are connected and idle, then stopped (SIGSTOP) while the queue is filled, then continued: what is measured is from
there until the last message was acknowledged (raw), or its result can be read in the database (skep). Start-up
is in neither, and the broker has come to rest. Right before each measurement of skep the bare consumer is measured, and the
ratio is to that: what else the machine does meets both.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measure import PYTHON, ROOT, TOOLS, Broker, Context, Meter, Skep, fill, median, node_pids, peak_rss_kib
from measure import pss_kib, spread, wait_count, wait_rest, wait_until

TITLE = "jobs/s of a full queue, against a bare librabbitmq consumer"
SERVICES = {"c": str(TOOLS / "noop"), "python": f"{PYTHON} {ROOT / 'bench' / 'noop.py'}"}
LEAST_RATIO = 0.6
OWN = ("worker", "store", "supervisor", "gateway", "courier")  # processes of skep's own
SLOWER = {"1": 10, "10": 3}  # by prefetch: so many times fewer messages
HELD = ("100", "250", "auto")  # the prefetches at which LEAST_RATIO is promised
HELD_WORKERS = 2  # and the workers: one for each core of the machine it is promised for
RAW_OF_AUTO = "250"  # the prefetch of the raw consumer that `prefetch = auto` is held against


@dataclass(frozen=True)
class Case:
    queue: str  # classic or quorum
    prefetch: str  # a number, or auto
    body: int  # bytes
    ids: str  # of the messages: none, or random (UUID version 4)
    service: str = ""  # c or python; none: the raw consumer
    workers: int = 1

    def name(self) -> str:
        who = f"skep, {self.service} service, {self.workers} worker{'s'[: self.workers > 1]}" if self.service else "raw"
        ids = ", random ids" if self.ids == "random" else ""
        return f"{self.queue}, prefetch {self.prefetch}, {self.body} bytes{ids}: {who}"


def cases_of(options: dict[str, str], quick: bool) -> list[Case]:
    """Of each queue, prefetch and body the raw consumer comes first; it is measured beside each of the others."""
    queues = options.get("queue", "classic quorum").split()
    services = options.get("service", "c python").split()
    body, ids = int(options.get("body", "100")), options.get("ids", "none")
    found = []
    for queue in queues:
        for prefetch in options.get("prefetch", "250").split():
            found.append(Case(queue, prefetch, body, ids))
            for service in services:
                for workers in map(int, options.get("workers", "1 2").split()):
                    found.append(Case(queue, prefetch, body, ids, service, workers))
    if quick or {"prefetch", "service", "body", "workers", "ids"} & options.keys():
        return found
    more = [(queue, prefetch, body, ids) for queue in queues for prefetch in ("1", "10", "100", "auto")]
    more += [(queue, "250", 1024, ids) for queue in queues]
    more += [(queue, "250", body, "random") for queue in queues]
    for what in more:
        found += [Case(*what), Case(*what, "c")]
        found += [Case(*what, "c", 2)] if what[1] in HELD else []
    return found


def messages_of(ctx: Context, case: Case) -> int:
    return ctx.messages // SLOWER.get(case.prefetch, 1)


def declare(broker: Broker, queue: str) -> None:
    broker.declare("work", x_queue_type=queue)


# --- the raw consumer ----------------------------------------------------------------------------------


def run_raw(ctx: Context, case: Case) -> dict[str, Any]:
    broker, count = ctx.broker(case.queue), messages_of(ctx, case)
    declare(broker, case.queue)
    prefetch = RAW_OF_AUTO if case.prefetch == "auto" else case.prefetch
    command = [TOOLS / "raw", broker.url(), "work", prefetch, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as raw:
        try:
            broker.wait_consumers("work")
            raw.send_signal(signal.SIGSTOP)
            fill(broker, "work", count, case.body, case.ids)
            wait_rest(ctx.beam())
            meter = Meter({"raw": [raw.pid], "broker": [ctx.beam()]})
            meter.start()
            raw.send_signal(signal.SIGCONT)
            said = raw.stdout.readline().split()
            cpu = meter.stop(count)
            assert said[:1] == ["done"], f"the raw consumer ended with {raw.wait()}"
            seconds = (int(said[1]) - meter.began_ns) / 1e9
            pss = pss_kib(raw.pid)
        finally:
            raw.send_signal(signal.SIGCONT)
            raw.stdin.close()
    broker.delete("work")
    broker.close()
    return {"rate": count / seconds, "cpu_us": cpu, "pss_kib": {"raw": pss}}


# --- skep ----------------------------------------------------------------------------------------------


def make_node(ctx: Context, case: Case, broker: Broker) -> Skep:
    node = ctx.node(broker)
    node.consume("work", case.queue, workers=case.workers, prefetch=case.prefetch)
    node.sections["handler noop"] = {"service": SERVICES[case.service], "warmup": "yes"}
    return node


def recorded(database: sqlite3.Connection) -> int:
    """The results that are committed; a fresh node's jobs are numbered from 1. Those that are not done are in an index
    of their own, and few: messages that came back when a prefetch was changed."""
    known = database.execute("SELECT max(seq) FROM job").fetchone()[0] or 0
    return known - database.execute("SELECT count(*) FROM job WHERE state <> 3").fetchone()[0]


def wait_recorded(node: Skep, count: int, seconds: float = 120) -> None:
    with closing(sqlite3.connect(f"file:{node.dir}/state/skep.db?mode=ro", uri=True)) as database:
        wait_count(lambda: recorded(database), count, seconds)


def check_done(node: Skep, count: int) -> None:
    with closing(sqlite3.connect(f"file:{node.dir}/state/skep.db?mode=ro", uri=True)) as database:
        done = database.execute("SELECT count(*) FROM job WHERE state = 3 AND attempt = 1").fetchone()[0]
    assert done == count, f"{done} of {count} jobs are done at their first attempt"


def services_up(node: Skep, workers: int) -> bool:
    return len(node_pids(node)["service"]) == workers


def run_skep(ctx: Context, case: Case) -> dict[str, Any]:
    broker, count = ctx.broker(case.queue), messages_of(ctx, case)
    node = make_node(ctx, case, broker)
    try:
        node.start()
        node.wait_consuming("work", case.workers)
        wait_until(lambda: services_up(node, case.workers), "warm services")
        for pid in node.workers():
            os.kill(pid, signal.SIGSTOP)
        fill(broker, "work", count, case.body, case.ids)
        wait_rest(ctx.beam())
        pids = node_pids(node)
        meter = Meter(pids | {"broker": [ctx.beam()]})
        profile = Profile(ctx.options.get("profile", ""), pids)
        meter.start()
        for pid in node.workers():
            os.kill(pid, signal.SIGCONT)
        wait_recorded(node, count)
        seconds = (time.monotonic_ns() - meter.began_ns) / 1e9
        cpu = meter.stop(count)
        profile.end()
        memory = {name: sum(map(pss_kib, listed)) for name, listed in pids.items()}
        peak = {name: sum(map(peak_rss_kib, listed)) for name, listed in pids.items()}
        check_done(node, count)
    finally:
        node.clean_up()
    broker.delete("work")
    broker.close()
    shutil.rmtree(node.dir)
    return {"rate": count / seconds, "cpu_us": cpu, "pss_kib": memory, "peak_rss_kib": peak}


# --- looking closer ------------------------------------------------------------------------------------


class Profile:
    """`-o profile=perf` and `-o profile=strace`: each process of the node is watched by that tool while the queue is
    emptied; what it found is in build/profile/, by role. The tools cost time: no numbers to quote."""

    DIR = ROOT / "build" / "profile"

    def __init__(self, tool: str, pids: dict[str, list[int]]):
        self.watchers: list[subprocess.Popen] = []
        self.DIR.mkdir(exist_ok=True)
        for role in ("worker", "store", "service") if tool else ():
            commands = {
                "perf": ["perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-g", "-o", self.DIR / f"{role}.perf", "-p"],
                "strace": ["strace", "-f", "-c", "-w", "-o", self.DIR / f"{role}.strace", "-p"],
            }
            command = [*commands[tool], ",".join(map(str, pids[role]))]
            self.watchers.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        if tool:
            time.sleep(1)  # nothing tells when they are attached

    def end(self) -> None:
        for watcher in self.watchers:
            watcher.send_signal(signal.SIGINT)
            watcher.wait(60)


# --- the part ------------------------------------------------------------------------------------------


def summary(case: Case, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case.name()} | asdict(case)
    row["jobs_per_s"] = spread((r["rate"] for r in rounds), 0)
    row["cpu_us_per_job"] = {n: spread((r["cpu_us"][n] for r in rounds), 2) for n in rounds[0]["cpu_us"]}
    row["pss_kib"] = {n: median(r["pss_kib"][n] for r in rounds) for n in rounds[0]["pss_kib"]}
    if not case.service:
        return row
    row["raw_per_s"] = spread((r["raw"] for r in rounds), 0)
    row["ratio"] = spread(r["rate"] / r["raw"] for r in rounds)
    row["own_cpu_us_per_job"] = spread((sum(r["cpu_us"][n] for n in OWN) for r in rounds), 2)
    row["peak_rss_kib"] = {n: max(r["peak_rss_kib"][n] for r in rounds) for n in rounds[0]["peak_rss_kib"]}
    return row


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """What is promised: of two workers with a service in C, at a prefetch of 100 and more."""
    found = []
    for row in rows:
        if row["service"] != "c" or row["workers"] != HELD_WORKERS or row["prefetch"] not in HELD:
            continue
        ratio, own = row["ratio"]["median"], row["own_cpu_us_per_job"]["median"]
        broker = row["cpu_us_per_job"]["broker"]["median"]
        if ratio < LEAST_RATIO:
            found.append(f"{row['case']}: {ratio:.2f} of the raw consumer, {LEAST_RATIO} is promised")
        if row["queue"] == "classic" and own > broker:
            found.append(f"{row['case']}: {own:.1f} us of CPU a job, the broker takes {broker:.1f}")
    return found


def run(ctx: Context) -> dict[str, Any]:
    cases = cases_of(ctx.options, ctx.quick)
    seen: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    for number in range(ctx.rounds):
        for case in filter(lambda case: case.service, cases):
            bare = Case(case.queue, case.prefetch, case.body, case.ids)
            raw, one = run_raw(ctx, bare), run_skep(ctx, case)
            seen[bare].append(raw)
            seen[case].append(one | {"raw": raw["rate"]})
            ctx.say(f"round {number + 1}/{ctx.rounds}  {one['rate']:>7.0f}/s, raw {raw['rate']:.0f}/s  {case.name()}")
    rows = [summary(case, seen[case]) for case in cases]
    return {"rows": rows, "missed": missed(rows)}


def report(result: dict[str, Any]) -> list[str]:
    names = ("broker", "raw", "worker", "store", "supervisor", "gateway", "courier", "service")
    lines = [f"{'':<58}{'jobs/s':>8}{'ratio':>7}  CPU us/job: own" + "".join(f"{n:>11}" for n in names) + "  PSS MiB"]
    for row in result["rows"]:
        cpu = row["cpu_us_per_job"]
        ratio = f"{row['ratio']['median']:.2f}" if row["service"] else "1"
        own = f"{row['own_cpu_us_per_job']['median']:.1f}" if row["service"] else ""
        listed = "".join(f"{cpu[n]['median']:>11.1f}" if n in cpu else f"{'':>11}" for n in names)
        pss = sum(value for name, value in row["pss_kib"].items()) / 1024
        lines.append(f"{row['case']:<58}{row['jobs_per_s']['median']:>8.0f}{ratio:>7}{own:>17}{listed}{pss:>9.1f}")
    return lines + [f"MISSED: {text}" for text in result["missed"]]
