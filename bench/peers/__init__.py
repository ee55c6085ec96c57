# SPDX-License-Identifier: MIT
"""(e): other job queues of Debian on the same work: a job that does nothing, in Python, and a job that runs a program.

Each peer is a module of this folder: PACKAGE, SETTINGS, check(), Peer (peer.py). Its workers wait, are stopped
(SIGSTOP) while the queue is filled, and continued; the rate is from there until the last job was counted, and its
result is there where one is kept. What a setting guarantees differs, and stands in a column of the table. Options:
peer, job, workers (lists in blanks), jobs (of a round).
"""

import importlib
import os
import signal
import time
from dataclasses import dataclass, replace
from typing import Any

import handlers
import throughput
from measure import Context, Meter, median, pss_kib, spread

from peers.peer import MissingPackage, Setting

TITLE = "other job queues, on the same work"
PEERS = ("skep", "celery", "gearmand", "beanstalkd")
BODY_BYTES = 100
SKEP_QUEUE, SKEP_PREFETCH = "classic", "100"
SKEP = Setting("defaults, classic queue, prefetch 100", "job runs again; result on disk before the ack")
PROGRAM_SHARE = 10  # a round of programs has so many times fewer jobs, or less


@dataclass(frozen=True)
class Case:
    peer: str
    setting: Setting
    job: str  # noop or program
    workers: int

    def name(self) -> str:
        return f"{self.job}, {self.workers} workers: {self.peer}, {self.setting.name}"


def module_of(peer: str) -> Any:
    return importlib.import_module(f"peers.{peer}")


def cases_of(options: dict[str, str]) -> list[Case]:
    found = []
    for job in options.get("job", "noop program").split():
        for workers in map(int, options.get("workers", "2").split()):
            for peer in options.get("peer", " ".join(PEERS)).split():
                settings = (SKEP,) if peer == "skep" else module_of(peer).SETTINGS
                found += [Case(peer, setting, job, workers) for setting in settings]
    return found


def run_skep(ctx: Context, case: Case, jobs: int) -> dict[str, Any]:
    if case.job == "program":
        one = handlers.Case("/bin/true", case.workers, SKEP_QUEUE, SKEP_PREFETCH)
        return handlers.run_skep(ctx, one, jobs)
    warm = throughput.Case(SKEP_QUEUE, SKEP_PREFETCH, BODY_BYTES, "none", "python", case.workers)
    return throughput.run_skep(replace(ctx, messages=jobs), warm)


def run_peer(ctx: Context, case: Case, jobs: int) -> dict[str, Any]:
    peer = module_of(case.peer).Peer(ctx, case.setting, case.job, case.workers)
    try:
        peer.start()
        workers = peer.worker_pids()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        peer.fill(jobs, BODY_BYTES)
        pids = {"server": peer.server_pids(), "worker": workers}
        meter = Meter(pids | {"broker": [ctx.beam()]})
        programs = handlers.children_cpu_us(workers)
        meter.start()
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        peer.wait_done(jobs)
        seconds = (time.monotonic_ns() - meter.began_ns) / 1e9
        cpu = meter.stop(jobs)
        if case.job == "program":
            cpu["program"] = (handlers.children_cpu_us(workers) - programs) / jobs
        memory = {name: sum(map(pss_kib, listed)) for name, listed in pids.items()}
    finally:
        for process in peer.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        peer.stop()
    return {"rate": jobs / seconds, "cpu_us": cpu, "pss_kib": memory}


def uses_broker(case: Case) -> bool:
    return case.peer in ("skep", "celery")


def summary(ctx: Context, case: Case, rounds: list[dict[str, Any]], jobs: int) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case.name(), "peer": case.peer, "job": case.job, "workers": case.workers}
    row |= {"setting": case.setting.name, "guarantee": case.setting.guarantee, "jobs": jobs}
    names = [name for name in rounds[0]["cpu_us"] if name != "broker" or uses_broker(case)]
    row["jobs_per_s"] = spread((r["rate"] for r in rounds), 0)
    row["cpu_us_per_job"] = {name: spread((r["cpu_us"][name] for r in rounds), 1) for name in names}
    row["all_cpu_us_per_job"] = spread((sum(r["cpu_us"][name] for name in names) for r in rounds), 1)
    row["pss_kib"] = {name: median(r["pss_kib"][name] for r in rounds) for name in rounds[0]["pss_kib"]}
    if uses_broker(case):
        row["broker_pss_kib"] = pss_kib(ctx.beam())
    return row


def jobs_of(ctx: Context, case: Case) -> int:
    whole = int(ctx.options.get("jobs", ctx.messages))
    jobs = whole // case.setting.slower
    return min(jobs, whole // PROGRAM_SHARE) if case.job == "program" else jobs


def there(ctx: Context, peer: str) -> str:
    """Why a peer cannot be measured."""
    if peer == "skep":
        return ""
    try:
        module_of(peer).check()
    except MissingPackage as missing:
        ctx.say(f"{peer}: {missing}")
        return str(missing)
    return ""


def run(ctx: Context) -> dict[str, Any]:
    cases = cases_of(ctx.options)
    missing = {peer: why for peer in dict.fromkeys(case.peer for case in cases) if (why := there(ctx, peer))}
    cases = [case for case in cases if case.peer not in missing]
    seen: dict[str, list[dict[str, Any]]] = {case.name(): [] for case in cases}
    for number in range(ctx.rounds):
        for case in cases:
            one = (run_skep if case.peer == "skep" else run_peer)(ctx, case, jobs_of(ctx, case))
            seen[case.name()].append(one)
            ctx.say(f"round {number + 1}/{ctx.rounds}  {one['rate']:>7.0f}/s  {case.name()}")
    rows = [summary(ctx, case, seen[case.name()], jobs_of(ctx, case)) for case in cases]
    return {"body_bytes": BODY_BYTES, "rows": rows, "not_measured": missing}


def report(result: dict[str, Any]) -> list[str]:
    heads = f"{'jobs/s':>8}{'CPU us/job':>12}{'broker':>8}{'rest':>8}{'PSS MiB':>9}{'broker':>8}"
    lines = [f"{'':<74}{heads}  after a power failure"]
    for row in result["rows"]:
        cpu = row["all_cpu_us_per_job"]["median"]
        broker = row["cpu_us_per_job"].get("broker", {"median": 0})["median"]
        memory, its = sum(row["pss_kib"].values()) / 1024, row.get("broker_pss_kib", 0) / 1024
        numbers = f"{row['jobs_per_s']['median']:>8.0f}{cpu:>12.0f}{broker:>8.0f}{cpu - broker:>8.0f}"
        lines.append(f"{row['case']:<74}{numbers}{memory:>9.1f}{its:>8.1f}  {row['guarantee']}")
    return lines + [f"not measured: {peer}: {why}" for peer, why in result["not_measured"].items()]
