# SPDX-License-Identifier: MIT
"""Failed jobs run again by their policy, until they are dead; and dead ones on request."""

from collections.abc import Callable
from datetime import datetime

import pytest

from broker import Broker
from skep import Skep, outcomes


@pytest.fixture
def node(skep: Skep, chosen: Callable[[str], str]) -> Skep:
    skep.consume("work", chosen("classic"))
    return skep


LIST_RUN = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"\n'


def test_a_failed_job_runs_again_and_is_done(skep: Skep, broker: Broker, mode: str) -> None:
    skep.consume("work", mode)
    skep.handler("flaky", LIST_RUN + 'cat; [ "$SKEP_ATTEMPT" -ge 3 ]', backoff="fixed 100ms")
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", "body", type="flaky", message_id="f1")
    job = skep.wait_done("f1")
    assert outcomes(job) == ["retry", "retry", "done"] and job["attempt"] == 3 and job["result"] == "body"
    assert [run["attempt"] for run in job["attempts"]] == [1, 2, 3]
    assert skep.runs("f1") == [["f1", "1"], ["f1", "2"], ["f1", "3"]]


def test_a_job_is_dead_when_its_retries_are_used_up(node: Skep, broker: Broker, mode: str) -> None:
    node.handler("fails", LIST_RUN + "echo why >&2; exit 9", retries=2, backoff="none")
    node.start()
    node.wait_consuming("work")
    broker.publish("work", "the body", type="fails", message_id="d1")
    job = node.wait_over("d1")
    assert job["state"] == "dead" and outcomes(job) == ["retry", "retry", "dead"]
    assert job["error"] == "exited with 9; no retries left after 3 attempts"
    assert node.logs("d1") == "why\n" and len(node.runs("d1")) == 3


def test_a_dead_job_can_be_retried_with_body_and_headers(node: Skep, broker: Broker, mode: str) -> None:
    node.handler("gate", LIST_RUN + '[ -e "$DIR/open" ] || exit 9\ncat', retries=0)
    node.start()
    node.wait_consuming("work")
    broker.publish("work", "the body", type="gate", message_id="g1", correlation_id="c9")
    assert node.wait_over("g1")["state"] == "dead"
    (node.dir / "open").touch()
    node.cli("retry", "g1")
    job = node.wait_done("g1")
    assert job["result"] == "the body" and len(job["attempts"]) == 2
    assert node.cli("retry", "g1", check=False).returncode != 0  # done: there is nothing to retry
    assert node.post("/v1/jobs/g1/retry").status == 409
    assert node.post("/v1/jobs/nobody/retry").status == 404


def test_dead_exits_are_not_retried(node: Skep) -> None:
    node.handler("bad", LIST_RUN + "exit 65", dead_exits="65", retries=5, backoff="none")
    node.start()
    job = node.wait_over(node.submit("bad", queue="work"))
    assert job["state"] == "dead" and outcomes(job) == ["dead"] and len(node.runs()) == 1


@pytest.mark.parametrize("retries, runs", [(0, 1), (1, 2)])
def test_a_job_may_ask_for_its_own_retries(node: Skep, broker: Broker, retries: int, runs: int) -> None:
    node.handler("fails", LIST_RUN + "exit 1", retries=5, backoff="none")
    node.start()
    node.wait_consuming("work")
    job_id = node.submit("fails", queue="work", retries=retries)
    broker.publish("work", type="fails", message_id="amqp", headers={"job-retries": retries})
    for name in (job_id, "amqp"):
        assert node.wait_over(name)["state"] == "dead"
        assert len(node.runs(name)) == runs


@pytest.mark.parametrize(
    "backoff, least, most",
    [
        ("none", 0, 2),
        ("fixed 700ms", 0.6, 3),
        ("exponential 1s..1h", 0.4, 3),
        ("sidekiq", 14.5, 26),
    ],
)
def test_each_backoff_waits_as_it_says(node: Skep, backoff: str, least: float, most: float) -> None:
    # a second failure is far away, so that the due time of the first retry can be read
    node.handler("fails", f"exec {node.dir}/fail.sh", backoff=backoff, retries=1)
    node.script("fail", "exit 1")
    node.start()
    job_id = node.submit("fails", queue="work")
    job = node.wait_state(job_id, "retrying", "dead")
    if backoff == "none":
        assert node.wait_over(job_id, 3)["state"] == "dead"
        return
    ended = datetime.fromisoformat(job["attempts"][0]["started_at"].replace("Z", "+00:00"))
    waits = (datetime.fromisoformat(job["due_at"].replace("Z", "+00:00")) - ended).total_seconds()
    assert least <= waits <= most, waits


def test_headers_of_others_survive_a_retry(node: Skep, broker: Broker) -> None:
    """Seen from outside: the retried copy lies in a queue that nobody consumes any more."""
    node.handler("fails", 'touch "$DIR/ran"; exit 1', backoff="fixed 2s")
    node.start()
    node.wait_consuming("work")
    headers = {"colour": "blue", "depth": 7, "nested": {"a": [1, "two"]}, "flag": True}
    broker.publish(
        "work", b"\x00bin\xff", type="fails", message_id="h1", content_type="image/png", correlation_id="c1",
        reply_to="nowhere", app_id="shop", headers=headers | {"x-death": [], "job-retries": "4"},
    )
    node.wait_state("h1", "retrying")
    node.sections["pool work"]["workers"] = 0
    assert node.stop() == 0
    node.start()
    properties, body = broker.wait_message("work")
    assert body == b"\x00bin\xff" and properties.message_id == "h1" and properties.type == "fails"
    assert properties.content_type == "image/png" and properties.correlation_id == "c1"
    assert properties.app_id == "shop" and properties.delivery_mode == 2 and properties.expiration is None
    for key, value in headers.items():
        assert properties.headers[key] == value, key
    assert "x-death" not in properties.headers and int(properties.headers["job-retries"]) == 4


def test_a_retry_waits_through_a_restart_of_the_node(node: Skep, mode: str) -> None:
    node.handler("flaky", LIST_RUN + '[ "$SKEP_ATTEMPT" -ge 2 ]', backoff="fixed 1s")
    node.start()
    job_id = node.submit("flaky", queue="work")
    node.wait_state(job_id, "retrying")
    assert node.stop() == 0
    node.start()
    assert outcomes(node.wait_done(job_id)) == ["retry", "done"] and len(node.runs(job_id)) == 2
