# SPDX-License-Identifier: MIT
"""prefetch = auto: a second of work is held, and what waits behind a slow job goes to whoever is idle."""

import time

import pytest

from broker import Broker
from skep import ROOT, Skep, outcomes
from waiting import stays, wait_until

# `quick` leaves a line; `hold` runs until the file `go` is there.
QUICK = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT $SKEP_WORKER" >> "$RUNS"'
HOLD = QUICK + '; while ! test -e "$DIR/go"; do sleep 0.02; done'


def prepare(skep: Skep, mode: str, workers: int = 1) -> Skep:
    skep.consume("work", mode, workers=workers)
    skep.handler("quick", QUICK)
    skep.handler("hold", HOLD)
    skep.handler("echo", service=ROOT / "examples/services/echo.py")
    return skep


def pool(node: Skep) -> dict:
    return node.get("/v1/pools").json()[0]


def prefetches(node: Skep) -> list[int]:
    return [worker["prefetch"] for worker in pool(node)["workers"]]


def asked_of(broker: Broker) -> list[int]:
    """The prefetch of each consumer, as the broker has it."""
    listed = broker.rabbit.ctl("list_consumers", "-p", broker.vhost, "--no-table-headers", "prefetch_count")
    return [int(line) for line in listed.split() if line.isdigit()]


def assert_each_ran_once(node: Skep, ids: list[str]) -> None:
    for job_id in ids:
        assert outcomes(node.wait_done(job_id, 60)) == ["done"], job_id
    ran = [words[0] for words in node.runs()]
    assert sorted(ran) == sorted(ids)


def test_short_jobs_make_it_grow(skep: Skep, broker: Broker, mode: str) -> None:
    prepare(skep, mode).start()
    skep.wait_consuming("work")
    assert pool(skep)["prefetch"] == "auto" and prefetches(skep) == [1]
    assert mode == "embedded" or asked_of(broker) == [1]
    ids = skep.submit_many([{"type": "echo", "queue": "work", "body": "x"} for _ in range(6000)])
    wait_until(lambda: prefetches(skep)[0] >= 16, "a larger prefetch", 60)
    if mode != "embedded":
        wait_until(lambda: [n for n in asked_of(broker) if n >= 16], "the broker to know", 60)
    wait_until(lambda: pool(skep)["workers"][0]["done"] == len(ids), "the end of all", 60)
    if mode != "embedded":  # where what is done is not in the queue by the same commit
        wait_until(lambda: broker.unacked("work") == 0, "all to be acknowledged")
    wait_until(lambda: broker.depth("work") == 0, "an empty queue")
    # the worker counts what it has reported; the record follows with the store's commit
    wait_until(lambda: {tuple(outcomes(job)) for job in skep.all_jobs()} == {("done",)}, "all to be recorded as done once")


def test_slow_jobs_keep_it_at_one(skep: Skep, broker: Broker, mode: str) -> None:
    prepare(skep, mode).start()
    skep.wait_consuming("work")
    broker.publish_many("work", [(f"j{i}", "hold") for i in range(4)])
    wait_until(lambda: skep.runs(), "the first to run")
    stays(lambda: broker.depth("work") == 3 and prefetches(skep) == [1], "the rest waits at the broker", 2)
    (skep.dir / "go").touch()
    assert_each_ran_once(skep, [f"j{i}" for i in range(4)])


def test_what_waits_behind_a_slow_job_goes_to_an_idle_worker(skep: Skep, broker: Broker, mode: str) -> None:
    prepare(skep, mode, workers=2)
    skep.start()
    skep.wait_consuming("work", 2)
    # Both have been fast, and both are asked for many.
    fast = [f"f{i}" for i in range(400)]
    broker.publish_many("work", [(name, "quick") for name in fast])
    wait_until(lambda: len(skep.runs()) == len(fast), "the fast ones", 60)
    wait_until(lambda: min(prefetches(skep)) >= 4, "workers that hold several")
    broker.publish_many("work", [("slow", "hold")] + [(f"w{i}", "quick") for i in range(8)])
    begun = time.monotonic()
    names = fast + ["slow"] + [f"w{i}" for i in range(8)]
    wait_until(lambda: len(skep.runs()) == len(names), "all others to run beside the slow one", 10)
    assert time.monotonic() - begun < 4
    # Paused while it is stuck, and back when it is not.
    wait_until(lambda: 0 in prefetches(skep), "a pause")
    (skep.dir / "go").touch()
    skep.wait_done("slow")
    wait_until(lambda: 0 not in prefetches(skep), "the end of the pause")
    broker.publish("work", b"", type="quick", message_id="last")
    assert_each_ran_once(skep, [*names, "last"])
    assert "handed back" in skep.log()


def test_nothing_is_handed_back_where_nobody_is_idle(skep: Skep, broker: Broker, mode: str) -> None:
    prepare(skep, mode).start()
    skep.wait_consuming("work")
    fast, waiting = [f"f{i}" for i in range(150)], [f"w{i}" for i in range(6)]
    broker.publish_many("work", [(name, "quick") for name in fast])
    wait_until(lambda: prefetches(skep)[0] >= 8, "a prefetch that has grown")
    broker.publish_many("work", [("slow", "hold"), *((name, "quick") for name in waiting)])
    wait_until(lambda: skep.runs("slow"), "the slow one to run", 60)
    stays(lambda: pool(skep)["workers"][0]["waiting"] > 0, "they wait here", 2.5)
    assert "handed back" not in skep.log()
    (skep.dir / "go").touch()
    assert_each_ran_once(skep, [*fast, "slow", *waiting])


def test_a_worker_that_is_paused_stops_in_order(skep: Skep, broker: Broker, mode: str) -> None:
    prepare(skep, mode, workers=2)
    skep.start()
    skep.wait_consuming("work", 2)
    fast = [f"f{i}" for i in range(400)]
    broker.publish_many("work", [(name, "quick") for name in fast])
    wait_until(lambda: len(skep.runs()) == len(fast), "the fast ones", 60)
    broker.publish_many("work", [("slow", "hold")] + [(f"w{i}", "quick") for i in range(8)])
    wait_until(lambda: 0 in prefetches(skep), "a pause")
    skep.process.terminate()
    (skep.dir / "go").touch()
    assert skep.wait_exit() == 0
    skep.start()
    assert_each_ran_once(skep, [*fast, "slow", *(f"w{i}" for i in range(8))])


def test_a_connection_may_be_lost_while_the_prefetch_changes(skep: Skep, broker: Broker, proxy_to, queue_type: str) -> None:
    proxy = proxy_to(broker.rabbit.port)
    prepare(skep, queue_type).set("broker", url=broker.url(proxy.port), heartbeat="5s")
    skep.start()
    skep.wait_consuming("work")
    ids = [f"j{i}" for i in range(600)]
    broker.publish_many("work", [(name, "quick") for name in ids[:300]])
    for n in (1, 2, 3):
        # The first seconds of a session are those in which it changes.
        wait_until(lambda: max(prefetches(skep), default=0) > 1, "a change", 30)
        proxy.reset()
        broker.publish_many("work", [(name, "quick") for name in ids[200 + n * 100 : 300 + n * 100]])
    for job_id in ids:
        skep.wait_done(job_id, 60)
    assert {words[0] for words in skep.runs()} == set(ids)
    wait_until(lambda: broker.unacked("work") == 0, "nothing that is held and not known")
    assert len(skep.runs()) == len(ids), "the store knows what ran when its connection was lost"
