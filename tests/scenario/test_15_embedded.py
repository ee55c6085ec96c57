# SPDX-License-Identifier: MIT
"""url = embedded: the store deals jobs to the workers itself; and what all three modes promise of pauses."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import Broker
from embedded import MODES, Embedded
from ledger import audit, wait_all_over
from rabbitmq import Rabbit
from skep import Skep, outcomes
from waiting import stays, wait_until

pytestmark = pytest.mark.usefixtures("mode")

LINE = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"\n'
HOLD = LINE + 'while [ ! -e "$DIR/go" ]; do sleep 0.02; done'


@pytest.fixture
def mode() -> str:
    """That of all tests here which do not name others."""
    return "embedded"


@pytest.fixture
def node(skep: Skep, mode: str) -> Skep:
    """One worker that holds one job; `hold` runs until the file `go` is there."""
    return prepare(skep, mode, prefetch=1)


def prepare(skep: Skep, mode: str = "embedded", **pool: object) -> Skep:
    skep.consume("work", mode, **pool)
    skep.handler("echo", LINE + "cat")
    skep.handler("hold", HOLD)
    return skep


def shown(node: Skep, queue: str = "work") -> dict:
    return next(row for row in node.cli_json("queues") if row["name"] == queue)


def wait_ready_count(node: Skep, count: int, queue: str = "work") -> None:
    wait_until(lambda: shown(node, queue)["ready"] == count, f"{count} jobs to wait in {queue}")


def wait_dealt(node: Skep, count: int) -> None:
    """So many are with the workers and not begun."""
    wait_until(lambda: node.get("/v1/pools").json()[0]["waiting"] == count, f"{count} jobs to be dealt")


def order(node: Skep) -> list[str]:
    return [words[0] for words in node.runs()]


def let_go(node: Skep) -> None:
    (node.dir / "go").touch()


def tcp_sockets(pid: int) -> list[str]:
    """Inodes of the process's sockets of the internet, of either end."""
    inodes = {
        line.split()[9]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    }
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return [link for link in links if link.startswith("socket:[") and link[8:-1] in inodes]


# --- the way of a job ---------------------------------------------------------------------------------


def test_there_is_no_courier_and_no_connection(node: Skep) -> None:
    node.start()
    job_id = node.submit("hold", "hello", queue="work")
    wait_until(lambda: node.runs(job_id), "the job to run")
    assert set(node.children()) == {"store", "gateway", "work/1"}
    assert [tcp_sockets(child.pid) for child in node.children().values()] == [[], [], []]
    assert tcp_sockets(node.process.pid) == []
    let_go(node)
    assert outcomes(node.wait_done(job_id)) == ["done"]
    assert node.runs() == [[job_id, "1"]] and "amqp" not in node.log().lower()


def test_a_body_is_dealt_whole(node: Skep) -> None:
    node.handler("copy", "cat", max_result="16M")
    node.start()
    for size in (0, 1, 65535, 8 << 20):
        body = os.urandom(size)
        answer = node.http("POST", f"/v1/jobs?type=copy&queue=work&id=b{size}", body, {"Content-Type": "x/y"})
        assert answer.status == 201, answer.body
        node.wait_done(f"b{size}", 40)
        assert node.result(f"b{size}") == body


def test_a_job_without_a_type_has_the_queues_handler(node: Skep) -> None:
    node.queue("work", handler="echo")
    node.start()
    node.broker.publish_bare("work", b"anything")
    job = wait_until(lambda: node.jobs(state="done"), "the job to be done")[0]
    assert job["type"] == "echo" and job["result"] == "anything"


def test_a_job_whose_handler_is_gone_is_dead_with_the_reason(node: Skep) -> None:
    node.handler("gone", "true")
    node.start()
    node.cli("pause", "work")
    node.submit("gone", "its body", queue="work", id="orphan")
    node.submit("echo", "x", queue="work", id="next")
    assert node.stop() == 0
    del node.sections["handler gone"]
    node.start()
    node.cli("resume", "work")
    assert node.wait_done("next", 5)["result"] == "x"
    job = node.wait_over("orphan", 5)
    assert job["state"] == "dead" and "gone" in job["error"], job
    assert node.stop() == 0
    node.handler("gone", "cat")
    node.start()
    node.cli("retry", "orphan")
    assert node.wait_done("orphan")["result"] == "its body"


def test_a_reply_that_nobody_could_deliver_is_none(node: Skep) -> None:
    node.start()
    for name in ("somewhere", "work"):
        node.submit("echo", queue="work", id=f"to-{name}", reply_to=name)
        node.wait_done(f"to-{name}")
    wait_ready_count(node, 0)
    assert len(node.all_jobs()) == len(node.runs()) == 2


def test_an_id_is_a_job_once_in_each_queue(node: Skep) -> None:
    node.queue("other")
    node.set("pool work", queues="work other")
    node.start()
    job = {"type": "echo", "queue": "work", "id": "same", "body": "first"}
    assert node.post("/v1/jobs", job).status == 201
    assert node.post("/v1/jobs", job | {"body": "second"}).json()["existing"] is True
    node.wait_done("same")
    node.kill_child("store")
    assert node.post("/v1/jobs", job | {"body": "third"}).json()["existing"] is True
    assert len(node.runs("same")) == 1
    assert node.post("/v1/jobs", job | {"queue": "other", "body": "elsewhere"}).status == 201
    wait_until(lambda: len(node.runs("same")) == 2, "the job of the other queue")
    assert node.job("same", queue="work")["result"] == "first"
    wait_until(lambda: node.job("same", queue="other")["result"] == "elsewhere", "its result")


# --- whose turn it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_priorities(node: Skep, mode: str) -> None:
    """Embedded: higher first, and first in first out within one. Queues of a broker as skep declares them keep
    the order in which they were filled: a classic one has no x-max-priority, a quorum one knows no more than two
    priorities, from RabbitMQ 4.0 on."""
    node.start()
    node.wait_consuming("work")
    node.cli("pause", "work")
    jobs = [(f"j{n}", priority) for n, priority in enumerate([0, 9, 1, None, 255, 9, 0, 1, 255, None, 4, 9])]
    for job_id, priority in jobs:
        given = {} if priority is None else {"priority": priority}
        node.broker.publish("work", type="echo", message_id=job_id, **given)
    wait_until(lambda: node.broker.depth("work") == len(jobs), "all to wait")
    node.cli("resume", "work")
    wait_until(lambda: len(node.runs()) == len(jobs), "all to run")
    if mode == "quorum" and node.broker.version() >= (4,):  # which mixes the two as it likes
        assert sorted(order(node)) == sorted(job_id for job_id, _ in jobs)
        return
    expected = sorted(jobs, key=lambda job: -(job[1] or 0)) if mode == "embedded" else jobs
    assert order(node) == [job_id for job_id, _ in expected]


def test_a_long_queue_does_not_starve_a_short_one(node: Skep) -> None:
    node.queue("short")
    node.set("pool work", queues="work short")
    node.start()
    node.cli("pause", "work", "short")
    node.submit_many([{"type": "echo", "queue": "work", "id": f"w{n}"} for n in range(300)])
    node.submit_many([{"type": "echo", "queue": "short", "id": f"s{n}"} for n in range(10)])
    wait_ready_count(node, 300)
    node.cli("resume", "work")
    wait_until(lambda: len(node.runs()) >= 5, "the long one to be under way")
    node.cli("resume", "short")
    wait_until(lambda: len(node.runs("s9")) == 1, "the short one to be empty")
    ran = order(node)
    first, last = ran.index("s0"), ran.index("s9")
    assert [name for name in ran if name[0] == "s"] == [f"s{n}" for n in range(10)]
    assert last - first < 25, ran[first : last + 1]  # each in its turn: one of each
    wait_all_over(node, [f"w{n}" for n in range(300)], 60)
    assert [name for name in order(node) if name[0] == "w"] == [f"w{n}" for n in range(300)]


def test_jobs_go_to_the_worker_that_has_fewest(skep: Skep) -> None:
    prepare(skep, workers=3, prefetch=10).start()
    skep.wait_consuming("work", 3)
    for n in range(3):
        skep.submit("hold", queue="work", id=f"h{n}")
    wait_until(lambda: len(skep.runs()) == 3, "one on each")
    let_go(skep)
    assert {skep.wait_done(f"h{n}")["attempts"][0]["worker"] for n in range(3)} == {"work/1", "work/2", "work/3"}


def test_no_more_is_dealt_than_the_prefetch(skep: Skep) -> None:
    prepare(skep, prefetch=4).start()
    for n in range(10):
        skep.submit("hold" if n == 0 else "echo", queue="work", id=f"j{n}")
    wait_dealt(skep, 3)
    wait_ready_count(skep, 6)
    stays(lambda: shown(skep)["ready"] == 6, "the rest waits in the store", 0.5)
    let_go(skep)
    wait_all_over(skep, [f"j{n}" for n in range(10)], 20)
    assert order(skep) == [f"j{n}" for n in range(10)]


# --- delays, expiry, cancelling -----------------------------------------------------------------------


def test_a_delayed_job_takes_its_place_when_it_is_due(node: Skep) -> None:
    node.start()
    begun = time.time()
    node.submit("hold", queue="work", id="blocker")
    wait_until(lambda: node.runs("blocker"), "the blocker to run")
    node.submit("echo", queue="work", id="later", delay="1s", priority=9)
    node.submit("echo", queue="work", id="now")
    wait_ready_count(node, 1)
    wait_ready_count(node, 2)
    assert time.time() - begun >= 0.95
    let_go(node)
    node.wait_done("now")
    assert order(node) == ["blocker", "later", "now"]


def test_jobs_that_expire_in_a_paused_queue_never_run_and_hold_nobody_up(node: Skep) -> None:
    node.start()
    node.cli("pause", "work")
    late = [f"short{n}" for n in range(40)]
    node.submit_many([{"type": "echo", "queue": "work", "id": name, "expires": "300ms"} for name in late])
    node.submit("echo", queue="work", id="long", expires="1h")
    stays(lambda: not node.runs(), "nothing runs", 0.5)
    node.cli("resume", "work")
    node.wait_done("long", seconds=2)
    for name in late:
        assert node.job(name)["state"] == "expired" and not node.runs(name)


def test_a_job_that_expires_with_its_worker_never_runs(skep: Skep) -> None:
    prepare(skep, prefetch=3).start()
    skep.submit("hold", queue="work", id="blocker")
    wait_until(lambda: skep.runs("blocker"), "the blocker to run")
    skep.submit("echo", queue="work", id="short", expires="400ms")
    wait_dealt(skep, 1)
    stays(lambda: not skep.runs("short"), "it waits", 0.5)
    let_go(skep)
    assert skep.wait_over("short")["state"] == "expired" and not skep.runs("short")


def test_each_job_is_cancelled_where_it_is(skep: Skep) -> None:
    """One runs, two are dealt and not begun, one waits in the store."""
    prepare(skep, prefetch=3).start()
    skep.submit("hold", queue="work", id="running")
    wait_until(lambda: skep.runs("running"), "the first to run")
    for name in ("dealt", "kept", "waiting"):
        skep.submit("echo", queue="work", id=name)
    wait_dealt(skep, 2)
    wait_ready_count(skep, 1)
    for name, before in (("waiting", 1), ("dealt", 0)):
        skep.cli("cancel", name)
        skep.wait_state(name, "cancelled", seconds=5)
        wait_ready_count(skep, before - 1 if before else 0)
    skep.cli("cancel", "running")
    assert outcomes(skep.wait_state("running", "cancelled")) == ["cancelled"]
    skep.wait_done("kept")
    skep.wait_done(skep.submit("echo", queue="work", id="after"))
    assert order(skep) == ["running", "kept", "after"]
    for name in ("dealt", "waiting"):
        assert skep.job(name)["state"] == "cancelled" and skep.job(name)["losses"] == 0


# --- what dies ----------------------------------------------------------------------------------------


def test_a_worker_is_killed(skep: Skep) -> None:
    """The job that was begun is a loss and runs again at once; those that were not return to their places."""
    prepare(skep, prefetch=4).start()
    names = ["begun", *(f"j{n}" for n in range(6))]
    for name in names:
        skep.submit("hold" if name == "begun" else "echo", queue="work", id=name)
    wait_until(lambda: skep.runs("begun"), "the first to run")
    wait_dealt(skep, 3)
    killed = time.monotonic()
    skep.kill_child("work/1")
    let_go(skep)
    wait_all_over(skep, names, 20)
    assert time.monotonic() - killed < 8, "nobody waits for a timeout"
    assert outcomes(skep.job("begun")) == ["lost", "done"] and skep.job("begun")["losses"] == 1
    for name in names[1:]:
        job = skep.job(name)
        assert job["losses"] == 0 and job["attempt"] == 1 and outcomes(job)[-1] == "done", job
        assert set(outcomes(job)) <= {"released", "done"}, job
    assert order(skep)[0] == "begun"
    assert [name for name in order(skep) if name != "begun"] == names[1:]
    audit(skep, names)


def test_what_a_killed_worker_held_goes_to_another_at_once(skep: Skep) -> None:
    prepare(skep, workers=2, prefetch=3).start()
    skep.wait_consuming("work", 2)
    for n in range(6):
        skep.submit("hold", queue="work", id=f"j{n}")
    wait_until(lambda: len(skep.runs()) == 2, "both to run")
    wait_dealt(skep, 4)
    skep.kill_child("work/1")
    let_go(skep)
    wait_all_over(skep, [f"j{n}" for n in range(6)], 20)
    losses = [skep.job(f"j{n}")["losses"] for n in range(6)]
    assert sorted(losses) == [0, 0, 0, 0, 0, 1], losses
    audit(skep, [f"j{n}" for n in range(6)])


def test_jobs_that_were_lost_together_are_tried_one_by_one(skep: Skep) -> None:
    """Either may have killed the other's worker: the second waits for the first, but not for ever."""
    prepare(skep, workers=2, prefetch=1).start()
    skep.wait_consuming("work", 2)
    for name in ("one", "two"):
        skep.submit("hold", queue="work", id=name)
    wait_until(lambda: len(skep.runs()) == 2, "both to run")
    os.kill(skep.pid("store"), signal.SIGSTOP)  # so that it hears of both at once
    skep.kill_child("work/1")
    skep.kill_child("work/2")
    os.kill(skep.pid("store"), signal.SIGCONT)
    wait_until(lambda: len(skep.runs()) == 3, "the first to be tried again")
    begun = time.monotonic()
    wait_until(lambda: len(skep.runs()) == 4, "the second to be tried again")
    assert 8 < time.monotonic() - begun < 11.5
    let_go(skep)
    for name in ("one", "two"):
        assert outcomes(skep.wait_done(name)) == ["lost", "done"]


def test_the_store_is_killed_with_jobs_dealt(skep: Skep) -> None:
    """The workers live, and tell the next one what they hold: nothing runs twice."""
    prepare(skep, workers=2, prefetch=10).start()
    skep.wait_consuming("work", 2)
    ids = skep.submit_many([{"type": "echo", "queue": "work", "id": f"j{n}"} for n in range(400)])
    for mark in (20, 120, 220, 320):
        wait_until(lambda: len(skep.runs()) >= mark, f"{mark} runs", 60)
        skep.kill_child("store")
    wait_all_over(skep, ids, 60)
    audit(skep, ids)
    assert sorted(order(skep)) == sorted(ids)


def test_the_node_is_killed_and_started_again(skep: Skep) -> None:
    """Each claim is durable: whatever ran more than once is a loss on record."""
    prepare(skep, workers=2, prefetch=10)
    skep.set("store", max_losses=50)
    skep.start()
    ids = skep.submit_many([{"type": "echo", "queue": "work", "id": f"j{n}"} for n in range(300)])
    for mark in (30, 100, 170):
        wait_until(lambda: len(skep.runs()) >= mark, f"{mark} runs", 60)
        skep.kill()
        skep.start()
    wait_all_over(skep, ids, 90)
    print(audit(skep, ids).text())


# --- pauses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_pause_outlives_restarts(node: Skep, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    node.cli("pause", "work")
    assert shown(node)["paused"] is True
    names = [f"j{n}" for n in range(3)]
    for name in names:
        node.submit("echo", name, queue="work", id=name)
    wait_ready_count(node, 3)
    line = next(line for line in node.cli_text("queues").splitlines() if line.startswith("work"))
    assert "paused" in line and " 3 " in line, line
    assert node.stop() == 0
    node.start()
    assert shown(node)["paused"] is True
    node.kill()
    node.start()
    wait_ready_count(node, 3)
    node.kill_child("store")
    node.wait_ready()
    node.kill_child("work/1")
    stays(lambda: not node.runs(), "nothing is started", 1)
    node.cli("resume", "work")
    for name in names:
        assert outcomes(node.wait_done(name)) == ["done"]
    assert (order(node) if mode == "embedded" else sorted(order(node))) == names  # a broker may mix what it gets back
    assert node.stop() == 0
    node.start()
    assert shown(node)["paused"] is False
    node.wait_done(node.submit("echo", queue="work"))


@pytest.mark.parametrize("mode", MODES)
def test_a_pause_lets_what_runs_go_on_and_takes_back_the_rest(skep: Skep, mode: str) -> None:
    prepare(skep, mode, prefetch=4)
    skep.queue("other", **({} if mode == "embedded" else {"type": mode}))
    skep.set("pool work", queues="work other")
    skep.start()
    skep.wait_consuming("work")
    skep.wait_consuming("other")
    skep.broker.publish("work", type="hold", message_id="running")
    wait_until(lambda: skep.runs("running"), "the first to run")
    skep.broker.publish_many("work", [(f"j{n}", "echo") for n in range(6)])
    wait_dealt(skep, 3)
    skep.cli("pause", "work")
    wait_until(lambda: skep.broker.depth("work") == 6, "what was not begun to be handed back")
    let_go(skep)
    assert outcomes(skep.wait_done("running")) == ["done"]
    skep.wait_done(skep.submit("echo", queue="other", id="elsewhere"))
    stays(lambda: len(skep.runs()) == 2, "nothing of the paused queue is started", 0.5)
    skep.cli("pause", "work")  # a second time changes nothing
    skep.cli("resume", "work")
    for n in range(6):
        job = skep.wait_done(f"j{n}")
        assert job["losses"] == 0 and job["attempt"] == 1 and len(skep.runs(f"j{n}")) == 1, job
    if mode == "embedded":  # where a broker puts what it gets back is its own affair
        assert order(skep)[2:] == [f"j{n}" for n in range(6)]


def test_an_unknown_queue_cannot_be_paused(node: Skep) -> None:
    node.start()
    told = node.cli("pause", "nowhere", check=False)
    assert told.returncode != 0 and b"nowhere" in told.stderr, told
    assert node.post("/v1/queues/nowhere/pause").status == 404
    assert node.post("/v1/queues/work/pause").status in (200, 204)
    assert node.post("/v1/queues/work/resume").status in (200, 204)


# --- to a broker --------------------------------------------------------------------------------------


@pytest.fixture
def real(shared_rabbit: Rabbit) -> Iterator[Broker]:
    made = Broker(shared_rabbit, shared_rabbit.take_vhost())
    yield made
    made.close()


def point_to(node: Skep, broker: Broker | Embedded) -> None:
    """The one line."""
    node.broker = broker
    node.start()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_waits_goes_to_the_broker_by_itself(
    make_skep: Callable[..., Skep], broker: Embedded, real: Broker, how: str
) -> None:
    node = prepare(make_skep(broker), prefetch=3)
    node.queue("work", type="quorum")
    node.handler("flaky", LINE + '[ "$SKEP_ATTEMPT" -ge 2 ]', backoff="fixed 3s")
    node.set("daemon", stop_timeout="300ms")
    node.start()
    node.submit("flaky", queue="work", id="retrying")
    node.wait_state("retrying", "retrying")
    node.submit("echo", queue="work", id="soon", delay="2s")
    node.submit("hold", queue="work", id="running")
    wait_until(lambda: node.runs("running"), "it to run")
    waiting = [f"j{n}" for n in range(50)]
    node.submit_many([{"type": "echo", "queue": "work", "id": name, "body": name} for name in waiting])
    wait_dealt(node, 2)
    if how == "stop":
        assert node.stop() == 0
    else:
        node.kill()
    node.set("pool work", workers=0)
    point_to(node, real)
    wait_until(lambda: real.depth("work") == 53, "all to be at the broker", 30)
    assert "courier" in node.children()
    assert node.stop() == 0
    let_go(node)
    node.set("pool work", workers=1)
    node.start()
    names = [*waiting, "retrying", "soon", "running"]
    wait_all_over(node, names, 30)
    audit(node, names)
    for name in waiting:
        assert node.job(name)["result"] == name and len(node.runs(name)) == 1
    assert outcomes(node.job("retrying")) == ["retry", "done"]
    assert outcomes(node.job("running")) == [{"stop": "released", "kill": "lost"}[how], "done"]


def test_back_to_embedded_what_the_broker_has_not_got_runs_here(
    make_skep: Callable[..., Skep], broker: Embedded, real: Broker
) -> None:
    node = prepare(make_skep(broker), prefetch=1)
    node.queue("work", type="classic")
    point_to(node, real)
    node.submit("echo", queue="work", id="later", delay="1s")
    assert node.stop() == 0
    point_to(node, broker)
    assert outcomes(node.wait_done("later")) == ["done"] and len(node.runs()) == 1
    assert "courier" not in node.children()
