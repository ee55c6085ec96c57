# SPDX-License-Identifier: MIT
"""A broker that is away, restarts, blocks, cancels, refuses or freezes costs time, not jobs."""

import os
import time

import pytest

from broker import Broker
from skep import Skep, outcomes
from waiting import stays, wait_until

ECHO = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"; cat'
HOLD = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"; while [ ! -e "$DIR/go" ]; do sleep 0.05; done; echo ended'


def prepare(skep: Skep, queue_type: str = "quorum", **pool: object) -> Skep:
    skep.consume("work", queue_type, **pool)
    skep.handler("echo", ECHO)
    skep.handler("hold", HOLD)
    return skep


def test_the_topology_is_declared(skep: Skep, broker: Broker, queue_type: str) -> None:
    prepare(skep, queue_type).start()
    skep.wait_consuming("work")
    for queue in ("work", "work.dead", "skep.unrouted"):
        assert broker.passive(queue) is not None, queue
    broker.declare(
        "work",
        **{"x-queue-type": queue_type, "x-dead-letter-exchange": "skep.dead", "x-dead-letter-routing-key": "work"},
        **({"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"} if queue_type == "quorum" else {}),
    )


@pytest.mark.parametrize("topology", ["passive", "none"])
def test_other_topologies_declare_nothing(skep: Skep, broker: Broker, topology: str) -> None:
    prepare(skep, "classic")
    skep.set("broker", topology=topology)
    broker.declare("work", x_queue_type="classic")
    if topology == "passive":
        broker.channel().exchange_declare("skep.in", "direct", durable=True)
        broker.bind("work", "skep.in")
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", "foreign", type="echo", message_id="f")
    assert skep.wait_done("f")["result"] == "foreign"
    assert skep.wait_done(skep.submit("echo", "ours", queue="work"))["result"] == "ours"
    assert broker.passive("work.dead") is None and broker.passive("skep.unrouted") is None


def test_a_new_broker_is_nothing_to_warn_of(skep: Skep, broker: Broker) -> None:
    prepare(skep, "classic")
    skep.consume("more", "quorum")
    skep.set("broker", depth_interval="3s")
    skep.start()
    skep.wait_consuming("work")
    skep.wait_consuming("more")
    wait_until(
        lambda: all(queue["consumers"] for queue in skep.get("/v1/queues").json()), "the depths are known"
    )
    assert "does not exist" not in skep.log() and "is there again" not in skep.log()


def test_a_passive_node_waits_for_a_missing_queue(skep: Skep, broker: Broker) -> None:
    prepare(skep, "classic")
    skep.set("broker", topology="passive")
    skep.start()
    skep.wait_log("work")
    broker.declare("work", x_queue_type="classic")
    skep.wait_consuming("work", 1)
    broker.publish("work", "x", type="echo", message_id="f")
    skep.wait_done("f")


def test_a_queue_with_other_arguments_is_parked_and_the_rest_runs(skep: Skep, broker: Broker) -> None:
    broker.declare("work", x_queue_type="classic", x_max_length=7)
    prepare(skep, "classic")
    skep.consume("other", "classic")
    skep.start()
    skep.wait_consuming("other")
    skep.wait_log("PRECONDITION_FAILED")
    assert "work" in skep.log()
    broker.publish("other", "fine", type="echo", message_id="o")
    assert skep.wait_done("o")["result"] == "fine"
    assert skep.healthy()


def test_a_deleted_queue_is_declared_and_consumed_again(skep: Skep, broker: Broker, queue_type: str) -> None:
    prepare(skep, queue_type).start()
    skep.wait_consuming("work")
    broker.delete("work")
    skep.wait_consuming("work")
    broker.publish("work", "again", type="echo", message_id="a")
    assert skep.wait_done("a")["result"] == "again"


def test_an_unroutable_submit_is_loud_and_not_lost(skep: Skep, broker: Broker) -> None:
    prepare(skep, "classic").start()
    skep.wait_done(skep.submit("echo", "first", queue="work"))  # all is declared that will be
    broker.unbind("work", "skep.in")
    job_id = skep.submit("echo", "patient", queue="work")
    skep.wait_log("no queue 'work' takes jobs")
    assert skep.job(job_id)["state"] == "queued" and not skep.runs(job_id)
    broker.bind("work", "skep.in")
    assert skep.wait_done(job_id, 30)["result"] == "patient" and len(skep.runs(job_id)) == 1


def test_closed_connections_are_opened_again(skep: Skep, broker: Broker, queue_type: str) -> None:
    prepare(skep, queue_type).start()
    skep.wait_consuming("work")
    broker.close_all_connections()
    skep.wait_consuming("work")
    broker.publish("work", "x", type="echo", message_id="after")
    skep.wait_done("after")
    assert skep.wait_done(skep.submit("echo", "y", queue="work"))["result"] == "y"


def test_a_redelivery_while_the_first_run_goes_on_does_not_run_twice(
    skep: Skep, broker: Broker, queue_type: str
) -> None:
    prepare(skep, queue_type, workers=2).start()
    skep.wait_consuming("work", 2)
    broker.publish("work", type="hold", message_id="long")
    wait_until(lambda: skep.runs("long"), "the run to begin")
    broker.close_all_connections()
    skep.wait_consuming("work", 2)
    wait_until(lambda: broker.depth("work") == 0, "the redelivery to be taken")
    broker.close()
    wait_until(lambda: broker.unacked("work") == 0, "the redelivery to be acknowledged while the job runs", 30)
    assert len(skep.runs("long")) == 1
    (skep.dir / "go").touch()
    job = skep.wait_done("long")
    assert job["result"] == "ended\n" and outcomes(job) == ["done"] and len(skep.runs("long")) == 1
    broker.publish("work", type="echo", message_id="after")
    skep.wait_done("after")
    assert len(skep.runs("long")) == 1


def test_a_reset_connection_does_not_end_the_running_job(skep: Skep, broker: Broker, proxy_to) -> None:
    proxy = proxy_to(broker.rabbit.port)
    prepare(skep).set("broker", url=broker.url(proxy.port), heartbeat="5s")
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", type="hold", message_id="long")
    wait_until(lambda: skep.runs("long"), "the run to begin")
    proxy.reset()
    skep.wait_consuming("work")
    (skep.dir / "go").touch()
    assert outcomes(skep.wait_done("long")) == ["done"]
    assert len(skep.runs("long")) == 1


def test_a_half_open_broker_is_noticed_by_heartbeats(skep: Skep, broker: Broker, proxy_to) -> None:
    proxy = proxy_to(broker.rabbit.port)
    prepare(skep, "classic").set("broker", url=broker.url(proxy.port), heartbeat="1s")
    skep.start()
    skep.wait_consuming("work")
    before = proxy.connections
    proxy.freeze()
    wait_until(lambda: proxy.connections > before, "a new try to connect", 15)
    waiting = skep.submit("echo", "held", queue="work")  # accepted all the same
    proxy.thaw()
    assert skep.wait_done(waiting, 30)["result"] == "held"


def test_frames_may_come_in_pieces(skep: Skep, broker: Broker, proxy_to) -> None:
    proxy = proxy_to(broker.rabbit.port)
    proxy.chunk = 7
    prepare(skep, "classic").set("broker", url=broker.url(proxy.port))
    skep.start()
    skep.wait_consuming("work")
    body = os.urandom(30_000)
    broker.publish("work", body, type="echo", message_id="pieces")
    skep.wait_done("pieces", 40)
    assert skep.result("pieces") == body


def test_the_next_address_is_tried(skep: Skep, broker: Broker) -> None:
    dead = broker.url(1)  # nothing listens there
    prepare(skep, "classic", workers=3).set("broker", url=f"{dead}, {broker.url()}, {dead}")
    skep.start()
    skep.wait_consuming("work", 3)
    broker.publish("work", "x", type="echo", message_id="m")
    skep.wait_done("m")


def test_a_wrong_password_is_told_without_showing_it(skep: Skep, broker: Broker) -> None:
    prepare(skep, "classic").set("broker", url=broker.url().replace("guest:guest", "guest:opensesame"))
    skep.start(wait=False)
    skep.wait_log("ACCESS_REFUSED")
    job = skep.submit("echo", queue="work")
    assert skep.job(job)["state"] == "queued"
    assert "opensesame" not in skep.log()


def test_heartbeats_go_on_while_a_handler_runs(skep: Skep, broker: Broker) -> None:
    prepare(skep, "classic").set("broker", heartbeat="1s")
    skep.handler("busy", "exec sleep 5")
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", type="busy", message_id="b")
    job = skep.wait_done("b")
    broker.close()
    assert outcomes(job) == ["done"] and skep.log().count("connected to 127.0.0.1") == 2, "worker and courier, once"


def test_a_full_queue_holds_submits_back(skep: Skep, broker: Broker) -> None:
    """The broker nacks what a queue with a limit cannot take: it waits here and is tried again."""
    prepare(skep, "quorum").set("pool work", prefetch=1)
    skep.start()
    skep.wait_consuming("work")
    broker.rabbit.ctl(
        "set_policy", "-p", broker.vhost, "short", "^work$",
        '{"max-length": 1, "overflow": "reject-publish"}', "--apply-to", "queues",
    )
    holding = skep.submit("hold", queue="work")
    skep.wait_state(holding, "running")
    ids: list[str] = []

    # the broker keeps its limit about, and some time after it was set
    def refused() -> bool:
        ids.append(skep.submit("echo", str(len(ids)), queue="work"))
        return "takes no jobs" in skep.log()

    wait_until(refused, "the broker to refuse one")
    ids += [skep.submit("echo", str(i), queue="work") for i in range(len(ids), len(ids) + 12)]
    stays(lambda: broker.depth("work") < len(ids) - 6, "the limit to be kept, about", 1)
    (skep.dir / "go").touch()
    for i, job_id in enumerate(ids):
        assert skep.wait_done(job_id, 60)["result"] == str(i)
    assert all(len(skep.runs(job_id)) == 1 for job_id in ids)


def test_a_user_with_least_privilege_is_enough(skep: Skep, broker: Broker) -> None:
    prepare(skep, "classic").start()
    skep.wait_consuming("work")
    skep.stop()  # an operator's node has made the topology
    user = f"least-{broker.vhost}"
    broker.rabbit.ctl("add_user", user, "secret")
    broker.rabbit.ctl("set_permissions", "-p", broker.vhost, user, "^$", r"^skep\.in$", "^work$")
    skep.set("broker", topology="passive", url=broker.url().replace("guest:guest", f"{user}:secret"))
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", "foreign", type="echo", message_id="f")
    assert skep.wait_done("f")["result"] == "foreign"
    assert skep.wait_done(skep.submit("echo", "ours", queue="work"))["result"] == "ours"


# --- these disturb the broker, and have it for themselves ---------------------------------------------


def test_a_submit_with_the_broker_away_arrives_later(make_skep, own_broker: Broker) -> None:
    skep = prepare(make_skep(own_broker))
    own_broker.rabbit.kill()
    skep.start()
    ids = [skep.cli_text("submit", "echo", f"body {i}").strip() for i in range(5)]
    assert all(skep.job(job_id)["state"] == "queued" for job_id in ids)
    assert skep.stop() == 0  # durable: through a restart of the node as well
    skep.start()
    own_broker.rabbit.start()
    for i, job_id in enumerate(ids):
        assert skep.wait_done(job_id, 40)["result"] == f"body {i}"
    assert len(skep.runs()) == 5


@pytest.mark.parametrize("how", ["stop_app", "kill"])
def test_the_broker_goes_and_comes_back_under_load(make_skep, own_broker: Broker, queue_type: str, how: str) -> None:
    skep = prepare(make_skep(own_broker), queue_type, workers=2)
    skep.handler("short", 'echo "$SKEP_JOB_ID" >> "$RUNS"; sleep 0.05')
    skep.start()
    skep.wait_consuming("work", 2)
    names = [f"j{i}" for i in range(100)]
    own_broker.publish_many("work", [(name, "short") for name in names])
    wait_until(lambda: len(skep.runs()) > 10, "some to have run")
    if how == "kill":
        own_broker.rabbit.kill()
        own_broker.rabbit.start()
    else:
        own_broker.rabbit.ctl("stop_app")
        own_broker.rabbit.ctl("start_app")
        own_broker.rabbit.wait_ready()
    for name in names:
        skep.wait_done(name, 60)
    counts = [len(skep.runs(name)) for name in names]
    assert all(count == 1 for count in counts), counts  # our processes lived: nothing may repeat


def test_a_blocked_publisher_waits_and_consumers_go_on(make_skep, own_broker: Broker) -> None:
    skep = prepare(make_skep(own_broker)).start()
    skep.wait_consuming("work")
    own_broker.publish_many("work", [(f"f{i}", "hold") for i in range(3)])
    own_broker.close()
    own_broker.rabbit.ctl("set_vm_memory_high_watermark", "0.00001")
    try:
        job_id = skep.submit("echo", "x", queue="work")
        skep.wait_log("blocked")
        stays(lambda: skep.job(job_id)["state"] == "queued", "a blocked submit waits", 1)
        (skep.dir / "go").touch()
        for i in range(3):
            skep.wait_done(f"f{i}")  # deliveries and acks go on
        assert skep.healthy() and not skep.runs(job_id)
    finally:
        own_broker.rabbit.ctl("set_vm_memory_high_watermark", "0.4")
    assert skep.wait_done(job_id)["result"] == "x" and len(skep.runs(job_id)) == 1


def test_the_brokers_ack_timeout_does_not_repeat_a_job(make_skep, own_broker: Broker) -> None:
    """take_after acknowledges a delivery while its job runs; the timeout never strikes."""
    rabbit = own_broker.rabbit
    rabbit.eval(
        "application:set_env(rabbit,consumer_timeout,4000), application:set_env(rabbit,channel_tick_interval,500)."
    )
    try:
        skep = prepare(make_skep(own_broker), "quorum", workers=2, take_after="1s").start()
        skep.wait_consuming("work", 2)
        own_broker.publish("work", type="hold", message_id="long")
        wait_until(lambda: skep.runs("long"), "the run to begin")
        begun = time.monotonic()
        own_broker.close()
        wait_until(lambda: own_broker.unacked("work") == 0, "the delivery to be acknowledged while the job runs")
        assert skep.job("long")["state"] == "running"
        wait_until(lambda: time.monotonic() - begun > 7, "the broker's timeout to have passed")
        (skep.dir / "go").touch()
        assert outcomes(skep.wait_done("long")) == ["done"] and len(skep.runs("long")) == 1
        assert "PRECONDITION_FAILED" not in skep.log()
    finally:
        rabbit.eval(
            "application:set_env(rabbit,consumer_timeout,1800000), "
            "application:set_env(rabbit,channel_tick_interval,60000)."
        )


def test_a_job_that_was_taken_over_survives_its_worker(make_skep, own_broker: Broker) -> None:
    skep = prepare(make_skep(own_broker), "quorum", take_after="1s").start()
    skep.wait_consuming("work")
    own_broker.publish("work", "precious", type="hold", message_id="long")
    wait_until(lambda: skep.runs("long"), "the run to begin")
    own_broker.close()
    wait_until(lambda: own_broker.unacked("work") == 0, "the take-over")
    skep.kill_child("work/1")
    wait_until(lambda: len(skep.runs("long")) == 2, "the second run")
    (skep.dir / "go").touch()
    job = skep.wait_done("long")
    assert outcomes(job) == ["lost", "done"] and job["losses"] == 1 and len(skep.runs("long")) == 2


def test_a_message_that_the_broker_never_takes_is_dead_with_the_reason(make_skep, own_broker: Broker) -> None:
    rabbit = own_broker.rabbit
    skep = prepare(make_skep(own_broker), "classic")
    rabbit.eval("application:set_env(rabbit,max_message_size,100000).")  # read when a channel opens
    try:
        skep.start()
        skep.wait_consuming("work")
        fat = skep.submit("echo", "x" * 200_000, queue="work")
        job = skep.wait_over(fat)
        assert job["state"] == "dead" and "200" in job["error"] and not skep.runs(fat), job
        assert skep.wait_done(skep.submit("echo", "small", queue="work"))["result"] == "small"
    finally:
        rabbit.eval("application:set_env(rabbit,max_message_size,134217728).")
    assert skep.stop() == 0
    skep.start()
    skep.cli("retry", fat)
    assert skep.wait_done(fat)["result_bytes"] == 200_000
