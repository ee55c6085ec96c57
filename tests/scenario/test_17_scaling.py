# SPDX-License-Identifier: MIT
"""Pools whose number of workers follows the work: from nothing and back, by hand, by memory, and one by one."""

import random
import time
from datetime import datetime
from typing import Any

import pytest

from embedded import MODES
from ledger import wait_all_over
from skep import Skep
from waiting import wait_until

NAP = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"\nexec sleep 0.1'


@pytest.fixture
def mode() -> str:
    return "embedded"


def pool_of(node: Skep) -> dict[str, Any]:
    return node.cli_json("pools")[0]


def alive(node: Skep) -> int:
    return pool_of(node)["alive"]


def prepare(skep: Skep, mode: str, workers: str, **pool: object) -> Skep:
    skep.consume("work", mode, workers=workers, **pool)
    skep.handler("nap", NAP)
    return skep


def batch(count: int, prefix: str = "j") -> list[dict[str, Any]]:
    return [{"type": "nap", "queue": "work", "id": f"{prefix}{n}"} for n in range(count)]


def at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def burst(node: Skep, prefix: str) -> dict[str, float]:
    """500 jobs at once to a pool without a worker. Seconds, by the node's own records: from the first submit until
    the first job began, the target was set, the workers ran (seen from outside, so at most), and from the last end
    until the pool was at its minimum."""
    jobs = batch(500, prefix)
    node.submit_many(jobs)
    wait_until(lambda: pool_of(node)["target"] >= 8 and alive(node) >= pool_of(node)["target"], "the workers it needs")
    running = time.time()
    wait_all_over(node, [job["id"] for job in jobs], 60)
    wait_until(lambda: alive(node) == 0, "all workers to go", 60)
    found = [job for job in node.cli_json("list", "--limit", "1000") if job["id"].startswith(prefix)]
    assert len(found) == len(jobs)
    assert {(job["state"], job["attempt"], job["losses"]) for job in found} == {("done", 1, 0)}
    begun = min(at(job["created_at"]) for job in found)
    changes = node.cli_json("explain", "work")["changes"]
    assert all(change["reason"] for change in changes)
    return {
        "first": min(at(job["started_at"]) for job in found) - begun,
        "target": min(at(c["at"]) for c in changes if c["to"] >= 8 and at(c["at"]) >= begun) - begun,
        "running": running - begun,
        "minimum": at(changes[0]["at"]) - max(at(job["ended_at"]) for job in found),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("mode")
def test_a_burst_starts_from_no_worker_and_ends_with_none(skep: Skep, mode: str) -> None:
    """The times are promises for a machine that has time for it: one burst of three is to keep them all."""
    hold = 2
    limits = {"first": 1, "target": 1, "running": 3, "minimum": hold + 6}  # looked at every 2 s, depths every 5
    prepare(skep, mode, "0..16", scale_hold=f"{hold}s").start()
    assert alive(skep) == 0
    tries = []
    for prefix in ("a", "b", "c"):
        tries.append(burst(skep, prefix))
        if all(tries[-1][name] <= most for name, most in limits.items()):
            break
        ended = time.monotonic()  # who comes back soon after he was sent away is held longer
        wait_until(lambda ended=ended: time.monotonic() - ended > 2 * hold + 1, "another time")
    else:
        pytest.fail(f"no burst kept {limits}: {tries}")
    told = skep.cli_json("explain", "work")
    assert (told["target"], told["min"], told["max"]) == (0, 0, 16)
    assert (told["changes"][-1]["from"], told["changes"][0]["to"]) == (0, 0)
    assert "no worker was there" in told["changes"][-1]["reason"]
    assert len(skep.runs()) == 500 * len(tries)


@pytest.mark.usefixtures("mode")
def test_by_depth_between_thresholds(skep: Skep) -> None:
    """One worker for each ten that wait, above thirty; fewer only below five, and after the cooldown."""
    skep.consume("work", "embedded", workers="1..8", scale="queue_depth", jobs_per_worker=10, grow_above=30,
                 shrink_below=5, cooldown="1s", prefetch=1)
    skep.handler("hold", 'while [ ! -e "$DIR/go" ]; do sleep 0.02; done')
    skep.start()
    skep.submit_many([{"type": "hold", "queue": "work"} for _ in range(31)])  # one of them runs
    wait_until(lambda: skep.broker.depth("work") == 30, "thirty to wait")
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > 3, "a look or two")
    assert pool_of(skep)["target"] == 1
    skep.submit_many([{"type": "hold", "queue": "work"} for _ in range(10)])
    wait_until(lambda: alive(skep) == 4, "a worker for each ten")
    (skep.dir / "go").touch()
    wait_until(lambda: alive(skep) == 1, "the least", 30)
    changes = skep.cli_json("explain", "work")["changes"]
    assert [(change["from"], change["to"]) for change in reversed(changes)] == [(1, 4), (4, 1)]


@pytest.mark.usefixtures("mode")
def test_changes_outlive_the_node(skep: Skep) -> None:
    prepare(skep, "embedded", "1..4").start()
    skep.cli("scale", "work", "3")
    wait_until(lambda: alive(skep) == 3, "three workers")
    assert pool_of(skep)["asked"] is True
    before = wait_until(lambda: skep.cli_json("explain", "work")["changes"], "a recorded change")
    assert before[0]["to"] == 3
    skep.stop()
    skep.start()
    told = skep.cli_json("explain", "work")
    assert told["changes"][: len(before)] == before
    assert told["asked"] is False  # the configuration's, again


@pytest.mark.usefixtures("mode")
def test_scale_by_hand(skep: Skep) -> None:
    prepare(skep, "embedded", "2").start()
    for text, most in (("5", 5), ("1", 1), ("0", 0), ("2..3", 3), ("auto", 2)):
        assert skep.cli_text("scale", "work", text).split() == ["work", "2" if text == "auto" else text]
        wait_until(lambda most=most: alive(skep) <= most and pool_of(skep)["max"] == most, f"{text} workers")
    wait_until(lambda: alive(skep) == 2, "what is configured")


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("nowhere", "3"), 1, b"no pool 'nowhere'"),
        (("work", "many"), 1, b"neither a whole number nor a range"),
        (("work", "5..2"), 1, b"ends before it begins"),
        (("work", "100000"), 1, b"out of bounds"),
        (("work",), 64, b"scale"),
    ],
)
def test_what_cannot_be_is_refused(skep: Skep, words: tuple[str, ...], code: int, text: bytes) -> None:
    prepare(skep, "embedded", "1").start()
    told = skep.cli("scale", *words, check=False)
    assert told.returncode == code, told
    assert text in told.stderr


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("mode")
def test_random_scaling_under_load_loses_and_kills_nothing(skep: Skep, mode: str) -> None:
    prepare(skep, mode, "1..8").start()
    rng = random.Random(mode)
    jobs = batch(400)
    skep.submit_many(jobs)
    for _ in range(1000):
        low = rng.randint(0, 6)
        skep.post(f"/v1/pools/work/scale?workers={rng.choice([str(low), f'{low}..{low + 2}', 'auto'])}")
    skep.cli("scale", "work", "4")
    wait_all_over(skep, [job["id"] for job in jobs], 60)
    done = skep.all_jobs()
    assert {(job["state"], job["attempt"], job["losses"]) for job in done} == {("done", 1, 0)}
    assert len(skep.runs()) == len(jobs)  # nobody was killed and began again
    wait_until(lambda: alive(skep) == 4, "what was asked for last", 30)


@pytest.mark.usefixtures("mode")
def test_a_busy_worker_drains(skep: Skep) -> None:
    skep.consume("work", "embedded", workers=2)
    skep.handler("hold", 'while [ ! -e "$DIR/go" ]; do sleep 0.02; done')
    skep.start()
    ids = skep.submit_many([{"type": "hold", "queue": "work"} for _ in range(2)])
    wait_until(lambda: pool_of(skep)["busy"] == 2, "both to run")
    skep.cli("scale", "work", "0")
    wait_until(lambda: [w["state"] for w in pool_of(skep)["workers"]] == ["stopping"] * 2, "both to drain")
    (skep.dir / "go").touch()
    for job in ids:
        assert skep.wait_done(job)["losses"] == 0
    wait_until(lambda: alive(skep) == 0, "both to be gone")


@pytest.mark.usefixtures("mode")
def test_memory_holds_a_pool_down(skep: Skep) -> None:
    eater = "import os,time; b = bytearray(64 << 20); b[::4096] = b'x' * len(b[::4096]); time.sleep(0.4)"
    skep.set("daemon", memory_max="300M")
    skep.consume("work", "embedded", workers="1..16", prefetch=1)
    skep.handler("eat", f'exec /usr/bin/python3 -c "{eater}"')
    skep.start()
    skep.submit_many([{"type": "eat", "queue": "work", "id": f"e{n}"} for n in range(120)])
    wait_until(lambda: "memory" in pool_of(skep)["reason"], "memory to be the bound")
    most = 0
    for _ in range(20):
        most = max(most, pool_of(skep)["target"])
        time.sleep(0.1)
    assert 1 <= most <= 8, most
    assert {job["losses"] for job in skep.all_jobs()} == {0}


@pytest.mark.usefixtures("mode")
def test_workers_are_replaced_after_so_many_jobs(skep: Skep) -> None:
    skep.consume("work", "embedded", workers=1, max_jobs=5)
    skep.handler("quick", "echo ok")
    skep.start()
    first = pool_of(skep)["workers"][0]["pid"]
    ids = skep.submit_many([{"type": "quick", "queue": "work", "id": f"q{n}"} for n in range(12)])
    wait_all_over(skep, ids, 30)
    wait_until(lambda: [w["pid"] for w in pool_of(skep)["workers"]] != [first] and alive(skep) == 1, "another worker")
    assert {(job["state"], job["losses"]) for job in skep.all_jobs()} == {("done", 0)}
    skep.wait_log("is replaced by worker work/2: it has begun")
