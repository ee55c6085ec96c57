# SPDX-License-Identifier: MIT
"""Double deliveries and late answers, each brought about on purpose."""

import os
import signal
from contextlib import suppress
from http.client import HTTPException

import pytest

from broker import Broker
from embedded import WAYS, Embedded
from ledger import audit
from skep import Skep, outcomes
from waiting import stays, wait_until

LINE = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"\n'
GATED = LINE + 'while [ ! -e "$DIR/go" ]; do sleep 0.02; done\n'


@pytest.mark.parametrize("ask, state", [("retry", "done"), ("cancel", "cancelled")])
def test_what_was_asked_of_a_store_that_died_before_its_answer_is_done_once(
    faulty: Skep, mode: str, ask: str, state: str
) -> None:
    faulty.consume("work", mode)
    faulty.handler("first-fails", LINE + '[ -e "$DIR/go" ]', dead_exits="1")
    faulty.start()
    if ask == "retry":
        faulty.wait_state(faulty.submit("first-fails", queue="work", id="asked"), "dead")
    else:
        faulty.submit("first-fails", queue="work", id="asked", delay="1h")
    assert faulty.stop() == 0
    (faulty.dir / "go").touch()
    faulty.environment["SKEP_FAULT"] = "store.after_commit:kill"
    faulty.start()
    fired = faulty.dir / "fired/store.after_commit"
    assert not fired.exists()
    answer = faulty.post(f"/v1/jobs/asked/{ask}")
    assert fired.exists() and answer.status == 200, (answer.status, answer.body)
    faulty.wait_state("asked", state)
    assert len(faulty.runs("asked")) == {"retry": 2, "cancel": 0}[ask]


@pytest.mark.parametrize("point", ["courier.published", "courier.confirmed"])
def test_a_confirm_after_the_next_retry_was_recorded_does_not_clear_it(
    faulty: Skep, broker: Broker, queue_type: str, point: str
) -> None:
    faulty.consume("work", queue_type)
    faulty.handler("flaky", LINE + '[ "$SKEP_ATTEMPT" -ge 3 ]', backoff="fixed 2s")
    # the courier stops with the confirm in its hands, and goes on only when the next retry is recorded
    faulty.environment["SKEP_FAULT"] = f"{point}:stop"
    faulty.start()
    faulty.wait_consuming("work")
    faulty.http("POST", "/v1/jobs?type=flaky&queue=work&id=late", b"x", {"Content-Type": "text/plain"})
    wait_until((faulty.dir / "fired" / point).exists, f"{point} to be passed")
    wait_until(lambda: len(faulty.runs("late")) == 1, "attempt 1, whose parcel is not settled")
    faulty.wait_state("late", "retrying")
    os.kill(faulty.pid("courier"), signal.SIGCONT)
    job = faulty.wait_done("late", 30)
    assert outcomes(job) == ["retry", "retry", "done"] and len(faulty.runs("late")) == 3
    audit(faulty, ["late"])


def test_an_outcome_in_the_socket_of_a_killed_worker_is_recorded(
    faulty: Skep, broker: Broker | Embedded, mode: str
) -> None:
    faulty.consume("work", mode)
    faulty.handler("quick", GATED + "echo result")
    faulty.environment["SKEP_FAULT"] = "worker.outcome_sent:kill"
    faulty.start()
    faulty.wait_consuming("work")
    store, worker = faulty.pid("store"), faulty.pid("work/1")
    if mode == "embedded":  # the store must have dealt it
        broker.publish("work", type="quick", message_id="sent")
        wait_until(lambda: faulty.runs("sent"), "it to run")
    os.kill(store, signal.SIGSTOP)
    if mode != "embedded":
        broker.publish("work", type="quick", message_id="sent")
    (faulty.dir / "go").touch()
    wait_until((faulty.dir / "fired/worker.outcome_sent").exists, "the outcome to be sent")
    wait_until(lambda: worker not in faulty.workers(), "the worker to be reaped")
    os.kill(store, signal.SIGCONT)
    job = faulty.wait_done("sent")
    assert outcomes(job) == ["done"] and job["losses"] == 0 and job["result"] == "result\n"
    broker.publish("work", type="quick", message_id="after")
    faulty.wait_done("after")
    assert len(faulty.runs("sent")) == 1
    audit(faulty, ["sent", "after"])


def test_outcomes_of_a_stopped_store_wait_and_are_recorded_once(
    skep: Skep, broker: Broker | Embedded, mode: str
) -> None:
    skep.consume("work", mode, workers=2, prefetch=4)
    skep.handler("quick", GATED + "echo result")
    skep.start()
    skep.wait_consuming("work", 2)
    store = skep.pid("store")
    names = [f"j{i}" for i in range(40)]
    jobs = [(name, "quick") for name in names]
    if mode == "embedded":  # a store that is stopped deals nothing: it has dealt as much as it may
        broker.publish_many("work", jobs)
        wait_until(lambda: broker.depth("work") == len(names) - 2 * 4, "a full prefetch to be dealt")
    os.kill(store, signal.SIGSTOP)
    (skep.dir / "go").touch()
    if mode != "embedded":
        broker.publish_many("work", jobs)
    wait_until(lambda: len(skep.runs()) >= 2, "some to have run")
    broker.close()
    stays(lambda: len(skep.runs()) <= 2 * 4, "a store that is slow slows consumption", 1)
    os.kill(store, signal.SIGKILL)
    for name in names:
        assert outcomes(skep.wait_done(name)) == ["done"]
    audit(skep, names)


@pytest.mark.parametrize("mode, through", WAYS)
def test_a_job_that_kills_the_whole_node_is_dead_after_three_losses(
    skep: Skep, broker: Broker | Embedded, mode: str, through: str
) -> None:
    """A foreign first run is known to the workers and to the store's memory only: when the node dies with
    it, it is forgotten (the window of a volatile claim), and the three that count come after it."""
    skep.consume("work", mode, workers=2)
    skep.handler("quick", LINE + "echo result")
    skep.handler("bomb", LINE + 'kill -9 $(awk \'$1 == "PPid:" { print $2 }\' /proc/$PPID/status); exec sleep 9')
    neighbours = [f"n{i}" for i in range(40)]
    skep.start()
    skep.wait_consuming("work", 2)
    if mode == "embedded":  # or nobody would take the neighbours' submits
        skep.cli("pause", "work")
    if through == "foreign":
        broker.publish("work", type="bomb", message_id="bomb")
    else:
        skep.submit("bomb", queue="work", id="bomb")
    broker.publish_many("work", [(name, "quick") for name in neighbours])
    if mode == "embedded":
        skep.cli("resume", "work", check=False)  # it may die before it has answered
    deaths = 0

    def over() -> bool:
        nonlocal deaths
        if skep.process.poll() is not None:
            assert skep.process.returncode == -signal.SIGKILL
            deaths += 1
            skep.assert_nothing_left()
            skep.start(wait=False)
        with suppress(OSError, HTTPException):  # it may die while it answers
            return (skep.job("bomb") or {}).get("state") == "dead"
        return False

    wait_until(over, "the job to be dead", 60)
    job = skep.job("bomb")
    expected = {"foreign": 4, "submit": 3}[through]
    assert job["losses"] == 3 and outcomes(job)[:3] == ["lost"] * 3, job
    assert deaths == expected and len(skep.runs("bomb")) == expected
    for name in neighbours:
        skep.wait_done(name)
    books = audit(skep, neighbours, window=deaths)
    for job in skep.all_jobs():
        assert job["id"] not in neighbours or job["losses"] <= 1, job
    print(books.text())


def test_a_nameless_job_has_one_id_from_its_redelivery_on(skep: Skep, broker: Broker, queue_type: str) -> None:
    skep.consume("work", queue_type)
    skep.queue("work", type=queue_type, handler="fragile")
    skep.handler("fragile", LINE + '[ -e "$DIR/killed" ] && exec cat; touch "$DIR/killed"; kill -9 $PPID; exec sleep 9')
    skep.start()
    skep.wait_consuming("work")
    broker.publish_bare("work", b"nameless")
    job = wait_until(lambda: skep.jobs(state="done"), "the job to be done", 30)[0]
    assert job["result"] == "nameless" and len(skep.runs()) == 2 and len(skep.all_jobs()) == 1
