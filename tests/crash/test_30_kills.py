# SPDX-License-Identifier: MIT
"""kill -9 of each part of a node with a thousand jobs in flight, and of all parts at random for a minute."""

import http.client
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress

import pytest
from pika.exceptions import AMQPError

from broker import Broker
from embedded import MODES, Embedded
from ledger import audit, wait_all_over
from skep import ROOT, Skep, outcomes
from waiting import wait_until

JOBS = 1000
WORKERS = 3
PREFETCH = 5
# What one worker may take with it where the store's memory is gone too: the run under way, and those that
# have ended and wait for the commit (at most its prefetch). First runs of foreign jobs only: the claims of
# all others are durable, and their runs are recorded as lost.
FORGOTTEN = 1 + PREFETCH
CHAOS_SECONDS = float(os.environ.get("SKEP_CHAOS_SECONDS", "60"))
PARTS = ["worker", "store", "courier", "gateway", "supervisor", "broker"]
CASES = [
    (mode, part) for mode in MODES for part in PARTS if mode != "embedded" or part not in ("courier", "broker")
]
SERVED = 5000
# What is killed soon after its start waits twice as long before the next one: 0, 0.5, 1, 2 and 4 s.
SERVED_KILLS = 5


def prepare(skep: Skep, mode: str) -> Skep:
    line = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"\n'
    skep.consume("work", mode, workers=WORKERS, prefetch=PREFETCH)
    skep.handler("quick", line + "echo result")
    skep.handler("slow", line + "exec sleep 0.1")
    skep.handler("flaky", line + '[ "$SKEP_ATTEMPT" -ge 2 ]', backoff="fixed 300ms")
    # bystanders of repeated kills are not poison: let nobody die of it
    skep.set("store", max_losses=50)
    return skep


def job_list(prefix: str, count: int) -> list[tuple[str, str]]:
    kinds = ["quick"] * 8 + ["slow", "flaky"]
    return [(f"{prefix}{i}", kinds[i % len(kinds)]) for i in range(count)]


def submit_stubbornly(skep: Skep, jobs: list[tuple[str, str]]) -> None:
    """Repeats each batch, with its ids, until it is answered: whatever dies meanwhile."""
    for at in range(0, len(jobs), 50):
        batch = [{"id": job_id, "type": kind, "queue": "work"} for job_id, kind in jobs[at : at + 50]]

        def accepted(batch: list[dict] = batch) -> bool:
            with suppress(OSError, http.client.HTTPException, AssertionError):
                return len(skep.submit_many(batch)) == len(batch)
            return False

        wait_until(accepted, "a batch to be accepted", 60)


def publish_stubbornly(broker: Broker | Embedded, jobs: list[tuple[str, str]]) -> None:
    """Each with its confirm; one whose confirm a dying broker kept to itself is published again."""
    for job_id, kind in jobs:

        def confirmed(job_id: str = job_id, kind: str = kind) -> bool:
            with suppress(AMQPError, OSError):
                broker.publish("work", "x", type=kind, message_id=job_id)
                return True
            return False

        wait_until(confirmed, f"{job_id} to be confirmed", 60)


def kill(skep: Skep, broker: Broker | Embedded, part: str, rng: random.Random) -> None:
    if part == "broker":
        broker.rabbit.kill()
        broker.rabbit.start()
    elif part == "supervisor":
        skep.kill()
        skep.start(wait=False)
    else:
        children = skep.children()
        pids = [p.pid for p in children.values() if p.program == f"skep-{part}"]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(pids), signal.SIGKILL)


@pytest.mark.parametrize("mode, part", CASES)
def test_a_thousand_jobs_outlive_the_end_of(part: str, make_skep, own_broker: Broker | Embedded, mode: str) -> None:
    rng = random.Random(part)
    skep = prepare(make_skep(own_broker), mode).start()
    skep.wait_consuming("work", WORKERS)
    foreign, ours = job_list("f", JOBS // 2), job_list("s", JOBS // 2)
    ids = [job_id for job_id, _ in foreign + ours]
    publish_stubbornly(own_broker, foreign)
    submitting = threading.Thread(target=submit_stubbornly, args=(skep, ours))
    submitting.start()
    kills = 0
    for mark in (50, 250) if part == "broker" else (50, 200, 350, 500):
        wait_until(lambda: len(skep.runs()) >= mark, f"{mark} runs", 60)
        kill(skep, own_broker, part, rng)
        kills += 1
    submitting.join(60)
    assert not submitting.is_alive()
    wait_all_over(skep, ids, 90)
    # each claim of a job that was dealt is durable: nothing is forgotten there
    forgets = part == "supervisor" and mode != "embedded"
    books = audit(skep, ids, window=kills * WORKERS * FORGOTTEN if forgets else 0)
    print(f"{part} killed {kills} times: {books.text()}")


@pytest.mark.parametrize("mode", ["embedded", "broker"])
def test_a_thousand_jobs_outlive_a_minute_of_everything_dying(
    make_skep, own_broker: Broker | Embedded, mode: str
) -> None:
    seed = int(os.environ.get("SKEP_CHAOS_SEED", time.time_ns() & 0xFFFFFF))
    print(f"SKEP_CHAOS_SEED={seed}")
    rng = random.Random(seed)
    skep = prepare(make_skep(own_broker), rng.choice(["quorum", "classic"]) if mode == "broker" else mode).start()
    skep.wait_consuming("work", WORKERS)
    ids: list[str] = []
    stop = threading.Event()
    failed: list[BaseException] = []

    def feed() -> None:
        """Keeps about a thousand jobs in flight, by both ways."""
        try:
            round_number = 0
            while not stop.is_set():
                if len(ids) - len(skep.runs()) < JOBS:
                    foreign = job_list(f"f{round_number}-", 200)
                    ours = job_list(f"s{round_number}-", 200)
                    if mode == "embedded":
                        submit_stubbornly(skep, foreign)
                    else:
                        publish_stubbornly(own_broker_of_feeder, foreign)
                    ids.extend(job_id for job_id, _ in foreign)
                    submit_stubbornly(skep, ours)
                    ids.extend(job_id for job_id, _ in ours)
                    round_number += 1
                stop.wait(0.1)
        except BaseException as error:
            failed.append(error)

    if mode == "broker":
        own_broker_of_feeder = Broker(own_broker.rabbit, own_broker.vhost)
    parts = ["worker"] * 6 + ["store"] * 4 + ["gateway"] * 3 + ["supervisor"] * 2
    if mode == "broker":
        parts += ["courier"] * 4 + ["broker"]
    feeder = threading.Thread(target=feed)
    feeder.start()
    kills: Counter = Counter()
    deadline = time.monotonic() + CHAOS_SECONDS
    while time.monotonic() < deadline:
        part = rng.choice(parts)
        kill(skep, own_broker, part, rng)
        kills[part] += 1
        time.sleep(rng.uniform(0, 1.5))  # not a wait for anything: the moments are the point
    stop.set()
    feeder.join(120)
    assert not feeder.is_alive() and not failed, failed
    wait_all_over(skep, ids, 180)
    # With the supervisor all workers go and the store too; a worker may also die while the store is away.
    window = (kills["supervisor"] * WORKERS + kills["worker"]) * FORGOTTEN
    # A publish whose confirm was lost is repeated by the test: two foreign publishes with one id.
    books = audit(skep, ids, window=window + kills["broker"] if mode == "broker" else 0)
    print(f"killed {dict(kills)}: {books.text()}")


def served(skep: Skep, broker: Broker | Embedded, part: str) -> int:
    """Kills the part up to SERVED_KILLS times while its queue becomes empty; returns how often."""
    rng = random.Random(part)
    step = SERVED // (50 if part == "store" and isinstance(broker, Embedded) else 10)  # it is over in no time
    kills = 0
    left = SERVED
    while left and kills < SERVED_KILLS:
        kill(skep, broker, part, rng)
        kills += 1
        skep.wait_ready()

        def fewer() -> bool:
            with suppress(OSError, http.client.HTTPException):
                return broker.depth("work") < max(1, left - step)
            return False

        wait_until(fewer, f"fewer than {left} to wait", 60)
        left = broker.depth("work")
    return kills


@pytest.mark.parametrize("part", ["worker", "store"])
def test_jobs_of_a_service_at_full_speed_outlive_the_end_of(
    part: str, skep: Skep, broker: Broker | Embedded, mode: str
) -> None:
    program = skep.dir / "echo"
    subprocess.run(["cc", "-O2", "-o", program, ROOT / "examples/services/echo.c"], check=True)
    skep.consume("work", mode, workers=2)
    skep.handler("echo", service=program)
    skep.set("store", max_losses=50)
    skep.start()
    skep.wait_consuming("work", 2)
    skep.cli("pause", "work")
    ids = [f"j{n}" for n in range(SERVED)]
    skep.submit_many([{"type": "echo", "queue": "work", "id": name, "body": name} for name in ids])
    wait_until(lambda: broker.depth("work") == SERVED, "all to wait", 60)
    skep.cli("resume", "work")
    wait_until(lambda: broker.depth("work") < SERVED, "the first to be taken")
    kills = served(skep, broker, part)
    wait_all_over(skep, ids, 60)
    jobs = {job["id"]: job for job in skep.all_jobs()}
    assert sorted(jobs) == sorted(ids)
    wrong = [job for name, job in jobs.items() if (job["state"], job["result"]) != ("done", name)]
    assert not wrong, wrong[:5]
    assert all(outcomes(job).count("done") == 1 for job in jobs.values())
    losses = sum(job["losses"] for job in jobs.values())
    assert losses <= (kills if part == "worker" else 0), losses  # a worker has begun one at a time
    print(f"{part} killed {kills} times while {SERVED} jobs were done: {losses} losses")
