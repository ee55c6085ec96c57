# SPDX-License-Identifier: MIT
"""Pools whose number of workers follows the work: from nothing and back, by hand, by memory, and one by one."""

import random
import time
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


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("mode")
def test_a_burst_starts_from_no_worker_and_ends_with_none(skep: Skep, mode: str) -> None:
    prepare(skep, mode, "0..16", scale_hold="2s").start()
    assert alive(skep) == 0
    skep.submit_many(batch(500))
    wait_until(lambda: pool_of(skep)["target"] > 0, "a target")
    wait_until(lambda: pool_of(skep)["target"] >= 8 and alive(skep) >= 8, "the workers that it needs")
    wait_all_over(skep, [job["id"] for job in batch(500)], 60)
    jobs = skep.all_jobs()
    assert {(job["state"], job["losses"]) for job in jobs} == {("done", 0)}
    wait_until(lambda: alive(skep) == 0, "all workers to go", 60)
    told = skep.cli_json("explain", "work")
    assert told["target"] == 0 and told["min"] == 0 and told["max"] == 16
    changes = told["changes"]
    assert (changes[-1]["from"], changes[0]["to"]) == (0, 0)
    assert all(change["reason"] for change in changes)
    assert "no worker was there" in changes[-1]["reason"]


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
