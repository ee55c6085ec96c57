# SPDX-License-Identifier: MIT
"""Stopping hands back what it cannot finish; what dies is started again."""

import os
import signal
import socket
import time
from collections.abc import Callable

import pytest

from broker import Broker
from embedded import WAYS
from skep import Skep, outcomes
from waiting import stays, wait_until

HOLD = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"; while [ ! -e "$DIR/go" ]; do sleep 0.05; done; echo ended'


@pytest.fixture
def node(skep: Skep, chosen: Callable[[str], str]) -> Skep:
    skep.consume("work", chosen("quorum"))
    skep.handler("echo", 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"; cat')
    skep.handler("hold", HOLD)
    return skep


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_node_stops_at_once_and_leaves_nothing(node: Skep, number: int) -> None:
    node.start()
    node.wait_consuming("work")
    begun = time.monotonic()
    node.signal(number)
    assert node.wait_exit() == 0 and time.monotonic() - begun < 5
    node.assert_nothing_left()


def test_a_running_job_may_finish(node: Skep, broker: Broker, mode: str) -> None:
    node.set("pool work", prefetch=5)
    node.start()
    node.wait_consuming("work")
    broker.publish_many("work", [("first", "hold"), ("second", "echo"), ("third", "echo")])
    wait_until(lambda: node.runs("first"), "the first job to run")
    node.signal(signal.SIGTERM)
    wait_until(lambda: broker.depth("work") == 2, "the waiting deliveries to be handed back")
    stays(lambda: not node.runs("second"), "nothing new is taken", 0.3)
    (node.dir / "go").touch()
    assert node.wait_exit() == 0
    node.assert_nothing_left()
    node.start()
    assert outcomes(node.wait_done("first")) == ["done"]
    for name in ("second", "third"):
        job = node.wait_done(name)
        assert outcomes(job) == ["done"] and job["attempt"] == 1, job
    assert len(node.runs()) == 3


@pytest.mark.parametrize("mode, through", WAYS)
def test_at_the_limit_a_job_is_handed_back_and_loses_no_attempt(
    node: Skep, broker: Broker, mode: str, through: str
) -> None:
    node.set("daemon", stop_timeout="500ms")
    node.start()
    node.wait_consuming("work")
    if through == "foreign":
        broker.publish("work", "body", type="hold", message_id="long")
    else:
        node.submit("hold", "body", queue="work", id="long")
    wait_until(lambda: node.runs("long"), "the run to begin")
    assert node.stop(20) == 0
    (node.dir / "go").touch()
    node.start()
    job = node.wait_done("long")
    assert outcomes(job) == ["released", "done"] and job["attempt"] == 1 and job["losses"] == 0, job
    assert node.runs("long") == [["long", "1"], ["long", "1"]]


def test_a_second_signal_hurries(node: Skep, broker: Broker, mode: str) -> None:
    node.set("daemon", stop_timeout="60s")
    node.handler("hold", "trap '' TERM\n" + HOLD)
    node.start()
    node.wait_consuming("work")
    broker.publish("work", type="hold", message_id="long")
    wait_until(lambda: node.runs("long"), "the run to begin")
    begun = time.monotonic()
    node.signal(signal.SIGTERM)
    stays(lambda: node.process.poll() is None, "it waits for the job", 1)
    node.signal(signal.SIGTERM)
    assert node.wait_exit(10) == 0 and time.monotonic() - begun < 8
    node.assert_nothing_left()
    (node.dir / "go").touch()
    node.start()
    job = node.wait_done("long")
    assert outcomes(job) == ["released", "done"] and job["attempt"] == 1, job


def test_the_node_stops_with_the_broker_frozen(node: Skep, broker: Broker, proxy_to) -> None:
    proxy = proxy_to(broker.rabbit.port)
    node.set("broker", url=broker.url(proxy.port))
    node.start()
    node.wait_consuming("work")
    proxy.freeze()
    begun = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - begun < 15


MORTALS = [
    (mode, name)
    for mode in ("embedded", "quorum")
    for name in ("work/1", "store", "courier", "gateway")
    if (mode, name) != ("embedded", "courier")
]


@pytest.mark.parametrize("mode, name", MORTALS)
def test_what_dies_is_started_again(node: Skep, broker: Broker, mode: str, name: str) -> None:
    node.start()
    node.wait_consuming("work")
    before = node.pid(name)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: node.children().get(name) and node.pid(name) != before, f"a new {name}")
    node.wait_ready()
    node.wait_log(name)
    assert node.wait_done(node.submit("echo", "ours", queue="work"))["result"] == "ours"
    broker.publish("work", "foreign", type="echo", message_id="f")
    assert node.wait_done("f")["result"] == "foreign"


def test_what_dies_at_once_is_started_ever_more_slowly(node: Skep) -> None:
    node.start()
    times: list[float] = []
    last = 0

    def killed_again() -> bool:
        nonlocal last
        child = node.children().get("courier")
        if child and child.pid != last:
            last = child.pid
            times.append(time.monotonic())
            os.kill(child.pid, signal.SIGKILL)
        return len(times) >= 5

    wait_until(killed_again, "five starts of the courier", 40)
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert gaps[-1] > gaps[0] and gaps[-1] >= 0.4, gaps
    assert node.healthy()
    assert node.process.poll() is None


def test_running_jobs_live_through_a_restart_of_the_store(node: Skep, broker: Broker, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    broker.publish("work", type="hold", message_id="long")
    wait_until(lambda: node.runs("long"), "the run to begin")
    for _ in range(2):
        before = node.pid("store")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: node.children().get("store") and node.pid("store") != before, "a new store")
    (node.dir / "go").touch()
    node.wait_ready()
    assert outcomes(node.wait_done("long")) == ["done"] and len(node.runs("long")) == 1


def test_a_submit_waits_while_the_store_restarts(node: Skep, mode: str) -> None:
    node.start()
    node.kill_child("store")
    assert node.wait_done(node.cli_text("submit", "echo", "x").strip())["result"] == "x"


def test_the_supervisor_dies_and_takes_all_with_it(node: Skep, broker: Broker, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    job_id = node.submit("hold", "body", queue="work")
    wait_until(lambda: node.runs(job_id), "the run to begin")
    node.kill()  # asserts that nothing is left
    (node.dir / "go").touch()
    node.start()
    job = node.wait_done(job_id)
    assert outcomes(job) == ["lost", "done"] and job["losses"] == 1, job


def test_systemd_is_told(node: Skep) -> None:
    path = str(node.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(20)
        node.environment["NOTIFY_SOCKET"] = path
        node.start()
        told = ""
        while "READY=1" not in told:
            told += listener.recv(4096).decode() + "\n"
        assert "STATUS=" in told
        assert node.stop() == 0
        told = ""
        while "STOPPING=1" not in told:
            told += listener.recv(4096).decode() + "\n"
