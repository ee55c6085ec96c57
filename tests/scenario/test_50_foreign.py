# SPDX-License-Identifier: MIT
"""One basic.publish by any client is a job: no library of ours is involved."""

import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone

import pytest

from broker import Broker
from skep import Skep, outcomes
from waiting import stays, wait_until

ECHO = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT $SKEP_TIMEOUT_MS" >> "$RUNS"; cat'


@pytest.fixture
def node(skep: Skep) -> Skep:
    skep.consume("work", "classic")
    skep.handler("echo", ECHO)
    return skep


def started(node: Skep, queue: str = "work") -> Skep:
    node.start()
    node.wait_consuming(queue)
    return node


def test_a_message_with_no_properties_runs_the_default_handler(skep: Skep, broker: Broker, queue_type: str) -> None:
    skep.consume("work", queue_type)
    skep.queue("work", type=queue_type, handler="echo")
    skep.handler("echo", ECHO)
    started(skep)
    broker.publish_bare("work", b"bare bytes")
    job = wait_until(lambda: skep.jobs(state="done"), "the nameless job to be done")[0]
    assert job["result"] == "bare bytes" and job["type"] == "echo" and job["id"]


def test_publishing_to_the_exchange_is_the_same(node: Skep, broker: Broker) -> None:
    started(node)
    broker.publish("work", "via exchange", exchange="skep", type="echo", message_id="x1")
    assert node.wait_done("x1")["result"] == "via exchange"


def test_amqp_publish_of_the_shell_makes_a_job(node: Skep, broker: Broker) -> None:
    if not shutil.which("amqp-publish"):
        pytest.skip("amqp-tools is not installed")
    node.queue("work", type="classic", handler="echo")
    started(node)
    subprocess.run(
        ["amqp-publish", "--url", broker.url(), "-r", "work", "-p", "-b", "from the shell"], check=True, timeout=20
    )
    job = wait_until(lambda: node.jobs(state="done"), "the job to be done")[0]
    assert job["result"] == "from the shell"


def test_an_unrouted_message_is_kept_beside(node: Skep, broker: Broker) -> None:
    started(node)
    broker.publish("no-such-queue", "lost?", exchange="skep")
    assert broker.wait_message("skep.unrouted")[1] == b"lost?"


@pytest.mark.parametrize("value", [300, 300.0, "300", "300s", "5m"])
def test_a_duration_header_may_be_of_any_kind(node: Skep, broker: Broker, value: object) -> None:
    started(node)
    broker.publish("work", type="echo", message_id="h", headers={"job-timeout": value, "job-retries": "3"})
    node.wait_done("h")
    assert node.runs("h") == [["h", "1", "300000"]]


@pytest.mark.parametrize("kind", ["timestamp", "seconds", "iso", "text"])
def test_a_time_header_may_be_of_any_kind(node: Skep, broker: Broker, kind: str) -> None:
    started(node)
    due = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=2)
    value = {
        "timestamp": due,  # pika writes an AMQP timestamp
        "seconds": int(due.timestamp()),
        "iso": due.isoformat(),
        "text": str(int(due.timestamp())),
    }[kind]
    if kind == "timestamp":
        value = due.replace(tzinfo=None)
    broker.publish("work", type="echo", message_id="t", headers={"job-at": value})
    job = node.wait_done("t")
    assert datetime.fromisoformat(job["started_at"].replace("Z", "+00:00")) >= due, job


def test_job_delay_holds_a_foreign_job_back(node: Skep, broker: Broker) -> None:
    started(node)
    begun = time.time()
    broker.publish("work", "late", type="echo", message_id="d", headers={"job-delay": "1s"})
    job = node.wait_state("d", "queued")
    assert job["due_at"], job
    wait_until(lambda: broker.depth("work") == 0, "the broker to be rid of it")
    assert node.wait_done("d")["result"] == "late" and time.time() - begun >= 0.95
    assert len(node.runs("d")) == 1


def test_job_expires_ends_a_late_job(node: Skep, broker: Broker) -> None:
    started(node)
    broker.publish("work", type="echo", message_id="e", headers={"job-expires": int(time.time()) - 10})
    assert node.wait_over("e")["state"] == "expired" and not node.runs("e")


@pytest.mark.parametrize(
    "header, value",
    [
        ("job-retries", "many"),
        ("job-timeout", {"nested": 1}),
        ("job-at", "the day after tomorrow"),
        ("job-delay", [1, 2]),
        ("job-expires", "soonish"),
    ],
)
def test_an_unreadable_header_makes_the_job_dead_and_is_named(
    node: Skep, broker: Broker, header: str, value: object
) -> None:
    started(node)
    broker.publish("work", "body", type="echo", message_id="bad", headers={header: value})
    job = node.wait_over("bad")
    assert job["state"] == "dead" and header in job["error"] and not node.runs("bad"), job
    broker.publish("work", "fine", type="echo", message_id="next")
    assert node.wait_done("next")["result"] == "fine"


def test_forged_and_strange_messages_do_no_harm(node: Skep, broker: Broker) -> None:
    started(node)
    deep: dict = {}
    for _ in range(40):
        deep = {"d": deep}
    broker.publish("work", type="echo", message_id="deep", headers=deep)
    broker.publish("work", type="echo", message_id="x-death", headers={"x-death": [{"count": 99, "queue": "work"}]})
    broker.publish("work", type="echo", message_id="i" * 255)
    broker.publish("work", type="echo", message_id="odd \u00e4/?#\n\x01'\"")
    broker.publish("work", type="echo", message_id="count", headers={"x-delivery-count": "many"})
    broker.publish("work", type="echo", message_id="many", headers={f"h{i}": i for i in range(300)})
    for job_id in ("x-death", "i" * 255, "odd \u00e4/?#\n\x01'\"", "many"):
        assert node.wait_done(job_id)["id"] == job_id
    for job_id in ("deep", "count"):
        node.wait_over(job_id)


def test_an_unknown_type_is_dead_with_the_reason(node: Skep, broker: Broker) -> None:
    started(node)
    broker.publish("work", "body", type="nobody", message_id="u1")
    broker.publish("work", "body", message_id="u2")  # no type, and the queue has no handler
    for job_id, named in (("u1", "nobody"), ("u2", "type")):
        job = node.wait_over(job_id)
        assert job["state"] == "dead" and named in job["error"], job


def test_the_result_goes_to_reply_to_with_the_correlation_id(node: Skep, broker: Broker) -> None:
    node.handler("fails", "exit 65", dead_exits="65")
    started(node)
    broker.declare_reply("answers")
    broker.publish("work", "ping", type="echo", message_id="r1", reply_to="answers", correlation_id="c1")
    properties, body = broker.wait_message("answers")
    assert body == b"ping" and properties.correlation_id == "c1" and properties.type == "echo"
    assert properties.headers["job-state"] == "done" and properties.headers["job-id"] == "r1"
    broker.publish("work", type="fails", message_id="r2", reply_to="answers")
    properties, body = broker.wait_message("answers")
    assert properties.headers["job-state"] == "dead" and b"65" in body and properties.correlation_id == "r2"


def test_a_reply_that_nobody_takes_is_dropped_with_a_warning(node: Skep, broker: Broker) -> None:
    started(node)
    broker.publish("work", type="echo", message_id="r3", reply_to="no-such-queue")
    node.wait_done("r3")
    node.wait_log("no-such-queue")
    broker.publish("work", "x", type="echo", message_id="r4")
    node.wait_done("r4")


def test_priorities_of_a_classic_queue_are_kept(skep: Skep, broker: Broker) -> None:
    skep.consume("work")
    skep.queue("work", type="classic", max_priority=9)
    skep.handler("echo", ECHO)
    skep.handler("hold", 'echo hold >> "$RUNS"; while [ ! -e "$DIR/go" ]; do sleep 0.05; done')
    started(skep)
    broker.publish("work", type="hold", message_id="first")
    wait_until(skep.runs, "the first job to run")
    broker.publish("work", type="echo", message_id="low", priority=1)
    broker.publish("work", type="echo", message_id="high", priority=9)
    skep.submit("echo", queue="work", id="ours", priority=5)
    wait_until(lambda: broker.depth("work") == 3, "three to wait in the broker")
    (skep.dir / "go").touch()
    for job_id in ("low", "high", "ours"):
        skep.wait_done(job_id)
    assert [words[0] for words in skep.runs()] == ["hold", "high", "ours", "low"]


@pytest.mark.parametrize("dedupe, runs", [("yes", 1), ("no", 2)])
def test_two_foreign_publishes_with_one_id(skep: Skep, broker: Broker, dedupe: str, runs: int) -> None:
    """Side by side: without dedupe both may run, and the later end is a duplicate; with it one runs."""
    skep.consume("work", workers=2)
    skep.queue("work", type="classic", dedupe=dedupe)
    skep.handler("meet", 'echo "$SKEP_JOB_ID" >> "$RUNS"; while [ ! -e "$DIR/go" ]; do sleep 0.05; done')
    skep.handler("echo", ECHO)
    skep.start()
    skep.wait_consuming("work", 2)
    for _ in range(2):
        broker.publish("work", type="meet", message_id="twin")
    wait_until(lambda: len(skep.runs("twin")) == runs, f"{runs} runs")
    if dedupe == "yes":
        wait_until(lambda: broker.depth("work") == 0, "the second to be delivered")
        stays(lambda: len(skep.runs("twin")) == 1, "one run only", 0.5)
    (skep.dir / "go").touch()
    skep.wait_done("twin")
    broker.publish("work", type="echo", message_id="after")
    skep.wait_done("after")
    wait_until(lambda: len(skep.job("twin")["attempts"]) == runs, f"{runs} recorded runs")
    job = skep.job("twin")
    assert job["state"] == "done" and outcomes(job) == ["done", "duplicate"][:runs], job
    assert len(skep.runs("twin")) == runs


def test_dedupe_remembers_jobs_that_are_over(skep: Skep, broker: Broker) -> None:
    skep.consume("work")
    skep.queue("work", type="classic", dedupe="yes")
    skep.handler("echo", ECHO)
    started(skep)
    for _ in range(2):
        broker.publish("work", type="echo", message_id="once")
        skep.wait_done("once")
    broker.publish("work", type="echo", message_id="after")
    skep.wait_done("after")
    assert len(skep.runs("once")) == 1 and outcomes(skep.job("once")) == ["done"]


def test_one_id_in_two_queues_is_two_jobs(skep: Skep, broker: Broker) -> None:
    skep.consume("work")
    skep.consume("other")
    skep.handler("echo", ECHO)
    started(skep)
    skep.wait_consuming("other")
    broker.publish("work", "a", type="echo", message_id="same")
    broker.publish("other", "b", type="echo", message_id="same")
    wait_until(lambda: len(skep.jobs(state="done")) == 2, "both to be done")
    answer = skep.get("/v1/jobs/same")
    assert answer.status == 409 and "work" in answer.json()["error"] and "other" in answer.json()["error"]
    assert skep.job("same", queue="work")["result"] == "a" and skep.job("same", queue="other")["result"] == "b"


def test_a_body_above_the_limit_is_refused_and_dead_lettered(skep: Skep, broker: Broker) -> None:
    skep.consume("work", max_body="10K")
    skep.handler("echo", ECHO)
    started(skep)
    broker.publish("work", b"x" * 20_000, type="echo", message_id="big")
    broker.publish("work", "small", type="echo", message_id="small")
    assert skep.wait_done("small")["result"] == "small"
    properties, body = broker.wait_message("work.dead")
    assert properties.message_id == "big" and len(body) == 20_000 and not skep.runs("big")
    assert "big" in skep.log() or "20000" in skep.log()
