# SPDX-License-Identifier: MIT
"""kill -9 at every row of faults.def: each has a scenario here, must fire, and may cost only what it says."""

import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from broker import Broker
from embedded import MODES, Embedded
from ledger import audit
from skep import ROOT, Skep, outcomes
from waiting import wait_until

HIT = "hit"  # the job that is under way when the process dies


def fault_names() -> list[str]:
    text = (ROOT / "lib/base/faults.def").read_text()
    return re.findall(r'^FAULT_POINT\(\w+, "([^"]+)"', text, re.MULTILINE)


def foreign(node: Skep, broker: Broker | Embedded) -> None:
    node.wait_consuming("work")
    broker.publish("work", "x", type="quick", message_id=HIT)


def submitted(node: Skep, broker: Broker | Embedded) -> None:
    """Repeated with its id until it is answered, as a client does."""

    def answered() -> bool:
        try:
            return node.post("/v1/jobs", {"type": "quick", "queue": "work", "id": HIT}).status in (200, 201)
        except OSError:
            return False

    wait_until(answered, "the submit to be answered")


def taken_while_running(node: Skep, broker: Broker | Embedded) -> None:
    node.wait_consuming("work")
    broker.publish("work", "x", type="long", message_id=HIT)


def taken_unstarted(node: Skep, broker: Broker | Embedded) -> None:
    node.wait_consuming("work")
    broker.publish("work", "x", type="quick", message_id=HIT, headers={"job-delay": "300ms"})


def worker_killed(node: Skep, broker: Broker | Embedded) -> None:
    node.submit("poison", queue="work", id=HIT)


def nothing(node: Skep, broker: Broker | Embedded) -> None:
    """The fault is on the way to a running node."""


@dataclass(frozen=True)
class Cost:
    """A scenario, and how often its job may run and be lost."""

    scenario: Callable[[Skep, Broker | Embedded], None]
    runs: tuple[int, int] = (1, 1)
    lost: tuple[int, int] = (0, 0)


TABLE: dict[str, list[Cost]] = {
    "worker.delivered": [Cost(foreign), Cost(submitted)],
    "worker.claimed": [Cost(foreign, lost=(1, 1)), Cost(submitted, lost=(1, 1))],
    "worker.started": [Cost(foreign, (1, 2), (1, 1)), Cost(submitted, (1, 2), (1, 1))],
    "worker.ended": [Cost(foreign, (2, 2), (1, 1)), Cost(submitted, (2, 2), (1, 1))],
    "worker.outcome_sent": [Cost(foreign), Cost(submitted)],
    "worker.before_ack": [Cost(foreign), Cost(submitted)],
    "worker.after_ack": [Cost(foreign), Cost(submitted)],
    "worker.before_take": [Cost(taken_unstarted), Cost(taken_while_running, (2, 2), (1, 1))],
    "worker.taken": [Cost(taken_unstarted), Cost(taken_while_running, (2, 2), (1, 1))],
    "store.claim": [Cost(submitted)],  # a first delivery from others does not ask
    "store.verdict": [Cost(submitted)],
    "store.dealt": [Cost(submitted)],
    "store.outcome": [Cost(foreign), Cost(submitted)],
    "store.before_commit": [Cost(foreign), Cost(submitted)],
    "store.after_commit": [Cost(foreign), Cost(submitted)],
    "store.take": [Cost(taken_unstarted), Cost(taken_while_running)],
    "store.buried": [Cost(worker_killed, (2, 2), (1, 1))],
    "gateway.submit": [Cost(submitted)],
    "gateway.before_reply": [Cost(submitted)],
    "store.submit": [Cost(submitted)],
    "store.lease": [Cost(submitted)],
    "courier.leased": [Cost(submitted)],
    "courier.published": [Cost(submitted)],
    "courier.confirmed": [Cost(submitted)],
    "store.settle": [Cost(submitted)],
    "supervisor.spawned": [Cost(nothing)],
    "supervisor.reaped": [Cost(worker_killed, (2, 2), (1, 1))],
}


# Nothing is acknowledged, taken over, asked for or published where the store deals the jobs itself...
BROKER_ONLY = {
    "worker.before_ack",
    "worker.after_ack",
    "worker.before_take",
    "worker.taken",
    "store.claim",
    "store.take",
    "store.lease",
    "courier.leased",
    "courier.published",
    "courier.confirmed",
    "store.settle",
}
EMBEDDED_ONLY = {"store.dealt"}  # ...and it deals none where a broker does.


def test_every_fault_point_has_a_scenario() -> None:
    assert sorted(fault_names()) == sorted(TABLE)
    assert BROKER_ONLY | EMBEDDED_ONLY <= set(TABLE)


def cases() -> Iterator[object]:
    for mode in MODES:
        for name in fault_names():
            if name in (BROKER_ONLY if mode == "embedded" else EMBEDDED_ONLY):
                continue
            for cost in TABLE.get(name, []):
                if mode != "embedded" or cost.scenario is not foreign:  # a publish is a submit there
                    yield pytest.param(name, cost, mode, id=f"{mode}-{name}-{cost.scenario.__name__}")


@pytest.mark.parametrize("name, cost, mode", cases())
def test_a_crash_there_costs_what_it_says(
    faulty: Skep, broker: Broker | Embedded, name: str, cost: Cost, mode: str
) -> None:
    node = faulty
    node.consume("work", mode, prefetch=3, **({} if mode == "embedded" else {"take_after": "1s"}))
    line = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"\n'
    node.handler("quick", line + "echo result")
    node.handler("long", line + "exec sleep 1.6")
    node.handler("poison", line + '[ -e "$DIR/killed" ] && exit 0; touch "$DIR/killed"; kill -9 $PPID; exec sleep 9')
    node.environment["SKEP_FAULT"] = f"{name}:kill"
    fired = node.dir / "fired" / name

    node.start(wait=False)
    if cost.scenario is not nothing:
        node.wait_ready()
        cost.scenario(node, broker)
    wait_until(fired.exists, f"{name} to be passed")
    if name.startswith("supervisor."):
        assert node.wait_exit(10) == -signal.SIGKILL
        node.assert_nothing_left()
        node.start()
    if cost.scenario is nothing:
        foreign(node, broker)

    node.wait_state(HIT, "done", "dead", seconds=30)
    follow(node, broker)
    hit = node.job(HIT)
    books = audit(node, [HIT, "after", "later"])
    runs, lost = len(node.runs(HIT)), outcomes(hit).count("lost")
    assert cost.runs[0] <= runs <= cost.runs[1], (hit, books.text())
    assert cost.lost[0] <= lost <= cost.lost[1] and hit["losses"] == lost, (hit, books.text())
    assert len(node.runs("after")) == len(node.runs("later")) == 1


def follow(node: Skep, broker: Broker | Embedded) -> None:
    """Jobs that come behind, by both ways: whatever the crash repeats has come by when they are done."""
    node.wait_ready()
    broker.publish("work", type="quick", message_id="after")
    node.wait_done("after")
    node.wait_done(node.submit("quick", queue="work", id="later"))
    broker.close()
    wait_until(lambda: broker.depth("work") == 0, "an empty queue")
