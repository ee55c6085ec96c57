# SPDX-License-Identifier: MIT
"""(d): a program for each job, by skep from a full queue, and by a bare loop of posix_spawn with three pipes and
wait4 (spawnloop.c) that knows no queue at all, with the broker up. As many loops as workers.

The workers are connected and stopped (SIGSTOP) while the queue is filled, then continued; the rate of skep is from
there until the last result is committed. The order is loop, skep, loop, skep, so that what else the machine does
meets both. Options: program, workers, queue, prefetch (lists in blanks), jobs.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measure import TOOLS, Context, Meter, fill, median, node_pids, pss_kib, spread
from throughput import OWN, check_done, wait_recorded

TITLE = "a program for each job, against a loop of posix_spawn and wait4"
LEAST_RATIO = 0.8
BODY_BYTES = 100
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Case:
    program: str
    workers: int
    queue: str = ""  # classic or quorum; none: the loop
    prefetch: str = ""

    def name(self) -> str:
        who = f"skep, {self.queue}, prefetch {self.prefetch}" if self.queue else "loop"
        return f"{self.program}, {self.workers} at once: {who}"


def cases_of(options: dict[str, str]) -> list[Case]:
    found = []
    for program in options.get("program", "/bin/true /bin/cat").split():
        for workers in map(int, options.get("workers", "2 4").split()):
            found.append(Case(program, workers))
            for queue in options.get("queue", "classic quorum").split():
                for prefetch in options.get("prefetch", "100").split():
                    found.append(Case(program, workers, queue, prefetch))
    return found


def children_cpu_us(pids: list[int]) -> float:
    """CPU time of the children that these have collected. In ticks, but of all of them together."""
    total = 0.0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(words[13]) + int(words[14])) * TICK_US
    return total


def run_loop(ctx: Context, case: Case, jobs: int) -> dict[str, Any]:
    meter = Meter({"broker": [ctx.beam()]})
    meter.start()
    command = [TOOLS / "spawnloop", str(case.workers), str(jobs), str(BODY_BYTES), case.program]
    said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120).stdout)
    cpu = meter.stop(jobs)
    cpu |= {"loop": said["loop_cpu_ns"] / 1000 / jobs, "program": said["program_cpu_ns"] / 1000 / jobs}
    return {"rate": jobs * 1e9 / said["wall_ns"], "cpu_us": cpu, "pss_kib": {}}


def run_skep(ctx: Context, case: Case, jobs: int) -> dict[str, Any]:
    broker = ctx.broker(case.queue)
    node = ctx.node(broker)
    node.consume("work", case.queue, workers=case.workers, prefetch=case.prefetch)
    node.sections["handler noop"] = {"command": case.program}
    try:
        node.start()
        node.wait_consuming("work", case.workers)
        workers = node.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        fill(broker, "work", jobs, BODY_BYTES)
        pids = {name: listed for name, listed in node_pids(node).items() if name in OWN}
        meter = Meter(pids | {"broker": [ctx.beam()]})
        programs = children_cpu_us(workers)
        meter.start()
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        wait_recorded(node, jobs)
        seconds = (time.monotonic_ns() - meter.began_ns) / 1e9
        cpu = meter.stop(jobs)
        cpu["program"] = (children_cpu_us(workers) - programs) / jobs
        memory = {name: sum(map(pss_kib, listed)) for name, listed in pids.items()}
        check_done(node, jobs)
    finally:
        node.clean_up()
    broker.delete("work")
    broker.close()
    shutil.rmtree(node.dir)
    return {"rate": jobs / seconds, "cpu_us": cpu, "pss_kib": memory}


def summary(case: Case, rounds: list[dict[str, Any]], loops: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"case": case.name()} | asdict(case)
    row["jobs_per_s"] = spread((r["rate"] for r in rounds), 0)
    row["cpu_us_per_job"] = {n: spread((r["cpu_us"][n] for r in rounds), 1) for n in rounds[0]["cpu_us"]}
    row["pss_kib"] = {n: median(r["pss_kib"][n] for r in rounds) for n in rounds[0]["pss_kib"]}
    if case.queue:
        row["ratio"] = spread(r["rate"] / loop["rate"] for r, loop in zip(rounds, loops))
        # Says the same where the machine is busy with something else too, and would have to be 0.8 where it is not.
        row["cpu_ratio"] = spread(
            sum(loop["cpu_us"][n] for n in ("loop", "program")) / sum(r["cpu_us"].values())
            for r, loop in zip(rounds, loops)
        )
        row["own_cpu_us_per_job"] = spread((sum(r["cpu_us"][n] for n in OWN) for r in rounds), 1)
    return row


def missed(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row['case']}: {row['ratio']['median']:.2f} of the loop, {LEAST_RATIO} is promised"
        for row in rows
        if row["queue"] and row["ratio"]["median"] < LEAST_RATIO
    ]


def run(ctx: Context) -> dict[str, Any]:
    cases = cases_of(ctx.options)
    jobs = int(ctx.options.get("jobs", 2000 if ctx.quick else 5000))
    seen: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    for number in range(ctx.rounds):
        for case in cases:
            one = (run_skep if case.queue else run_loop)(ctx, case, jobs)
            seen[case].append(one)
            ctx.say(f"round {number + 1}/{ctx.rounds}  {one['rate']:>7.0f}/s  {case.name()}")
    rows = [summary(case, seen[case], seen[Case(case.program, case.workers)]) for case in cases]
    return {"jobs": jobs, "body_bytes": BODY_BYTES, "rows": rows, "missed": missed(rows)}


def report(result: dict[str, Any]) -> list[str]:
    names = ("program", "loop", "broker", "worker", "store", "supervisor", "gateway", "courier")
    lines = [f"{'':<50}{'jobs/s':>8}{'ratio':>7}{'of CPU':>8}  CPU us/job: own" + "".join(f"{n:>11}" for n in names)]
    for row in result["rows"]:
        cpu = row["cpu_us_per_job"]
        ratio = f"{row['ratio']['median']:.2f}" if row["queue"] else "1"
        of_cpu = f"{row['cpu_ratio']['median']:.2f}" if row["queue"] else "1"
        own = f"{row['own_cpu_us_per_job']['median']:.0f}" if row["queue"] else ""
        listed = "".join(f"{cpu[n]['median']:>11.0f}" if n in cpu else f"{'':>11}" for n in names)
        lines.append(f"{row['case']:<50}{row['jobs_per_s']['median']:>8.0f}{ratio:>7}{of_cpu:>8}{own:>17}{listed}")
    return lines + [f"MISSED: {text}" for text in result["missed"]]
