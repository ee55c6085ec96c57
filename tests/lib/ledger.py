# SPDX-License-Identifier: MIT
"""The books of a crash test: what really ran, against what the node says of it.

Every job must be known, be over, and have ended once. Its runs are counted in the file that handlers
append to; each run beyond one per attempt must be explained by a recorded outcome (lost, released,
duplicate), or by a crash window that the caller names and bounds.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from skep import COUNTED, OVER, Skep, outcomes
from waiting import wait_until


@dataclass
class Books:
    jobs: int = 0
    runs: int = 0
    extra: Counter = field(default_factory=Counter)  # by explanation
    unexplained: list[str] = field(default_factory=list)

    def text(self) -> str:
        named = ", ".join(f"{count} {what}" for what, count in sorted(self.extra.items())) or "none"
        return f"{self.jobs} jobs, {self.runs} runs; recorded beyond the attempts: {named}; by a window: {len(self.unexplained)}"


def audit(skep: Skep, ids: Iterable[str], window: int = 0, state: str = "done") -> Books:
    """Fails unless all of `ids` ended once in `state`, with at most `window` unexplained runs in all."""
    known = {job["id"]: job for job in skep.all_jobs()}
    started = Counter(words[0] for words in skep.runs())
    books = Books()
    problems: list[str] = []
    for job_id in ids:
        job = known.get(job_id)
        if job is None:
            problems.append(f"{job_id}: missing, {started[job_id]} runs")
            continue
        problems += [f"{job_id}: {problem}" for problem in faults_of(job, started[job_id], state)]
        ends = outcomes(job)
        counted = sum(ends.count(outcome) for outcome in COUNTED)
        explained = len(ends) - counted
        books.jobs += 1
        books.runs += started[job_id]
        books.extra.update(outcome for outcome in ends if outcome not in COUNTED)
        books.unexplained += [job_id] * max(0, started[job_id] - counted - explained)
    assert not problems, f"{len(problems)} of {books.jobs}: {problems[:10]}"
    assert len(books.unexplained) <= window, f"runs that nothing explains: {books.unexplained[:10]}; {books.text()}"
    return books


def faults_of(job: dict[str, Any], starts: int, state: str) -> list[str]:
    ends = outcomes(job)
    counted = [run["attempt"] for run in job["attempts"] if run["outcome"] in COUNTED]
    found = []
    if job["state"] != state:
        found.append(f"is {job['state']}, runs {ends}, error {job['error']}")
    if ends.count("done") + ends.count("dead") > 1:
        found.append(f"ended more than once: {ends}")
    if state == "done" and ends.count("done") != 1:
        found.append(f"is done by no run: {ends}")
    if len(counted) != len(set(counted)):
        found.append(f"an attempt is counted twice: {list(zip(counted, ends))}")
    if state == "done" and starts < 1:
        found.append("never started")
    if starts < len(counted):
        found.append(f"{len(counted)} attempts but {starts} runs")
    return found


def wait_all_over(skep: Skep, ids: Iterable[str], seconds: float) -> None:
    """All are over: asked for in pages, not one by one."""
    wanted = set(ids)

    def left() -> bool:
        if not skep.healthy():
            return False
        wanted.difference_update(job["id"] for job in skep.all_jobs() if job["state"] in OVER)
        return not wanted

    try:
        wait_until(left, "", seconds)
    except AssertionError:
        known = {job["id"]: job for job in skep.all_jobs()}
        told = [known.get(job_id, f"{job_id} unknown") for job_id in sorted(wanted)[:5]]
        raise AssertionError(f"{len(wanted)} not over within {seconds} s, such as {told}") from None
