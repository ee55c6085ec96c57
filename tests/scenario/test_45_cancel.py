# SPDX-License-Identifier: MIT
"""Jobs can be cancelled wherever they are."""

from collections.abc import Callable

import pytest

from broker import Broker
from skep import Skep, outcomes
from waiting import wait_until


@pytest.fixture
def node(skep: Skep, chosen: Callable[[str], str]) -> Skep:
    """One worker; `hold` keeps it busy until the file `go` is there."""
    skep.consume("work", chosen("quorum"))
    skep.handler("echo", 'echo "$SKEP_JOB_ID" >> "$RUNS"; cat')
    skep.handler("hold", 'echo "$SKEP_JOB_ID" >> "$RUNS"; while [ ! -e "$DIR/go" ]; do sleep 0.05; done')
    return skep


def test_a_delayed_job_is_cancelled_at_once(node: Skep, mode: str) -> None:
    node.start()
    job_id = node.submit("echo", queue="work", delay="1h")
    node.cli("cancel", job_id)
    assert node.job(job_id)["state"] == "cancelled"
    assert node.post(f"/v1/jobs/{job_id}/cancel").status == 409
    assert node.post("/v1/jobs/nobody/cancel").status == 404


def test_a_waiting_job_is_cancelled_and_never_runs(node: Skep, mode: str) -> None:
    node.start()
    blocker = node.submit("hold", queue="work")
    node.wait_state(blocker, "running")
    waiting = node.submit("echo", queue="work")
    wait_until(lambda: node.broker.depth("work") > 0 or node.job(waiting), "the second job to be on its way")
    assert node.post(f"/v1/jobs/{waiting}/cancel").status in (200, 202)
    assert node.job(waiting)["state"] == "cancelled"
    after = node.submit("echo", queue="work")
    (node.dir / "go").touch()
    node.wait_done(blocker)
    node.wait_done(after)  # came later through the same queue
    assert node.job(waiting)["state"] == "cancelled" and not node.runs(waiting)


def test_a_retrying_job_is_cancelled(node: Skep, mode: str) -> None:
    node.handler("fails", "exit 1", backoff="fixed 1h")
    node.start()
    job_id = node.submit("fails", queue="work")
    node.wait_state(job_id, "retrying")
    node.cli("cancel", job_id)
    assert node.job(job_id)["state"] == "cancelled"


def test_a_running_job_is_ended(node: Skep, broker: Broker, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    broker.publish("work", "kept", type="hold", message_id="long")
    wait_until(lambda: node.runs("long"), "the handler to start")
    node.cli("cancel", "long", "--queue", "work")
    job = node.wait_state("long", "cancelled")
    assert outcomes(job) == ["cancelled"], job
    assert node.wait_done(node.submit("echo", "x", queue="work"))["result"] == "x"


def test_a_running_job_that_ignores_the_signal_is_killed(node: Skep, mode: str) -> None:
    node.handler("stubborn", "trap '' TERM; echo here >> $RUNS; while :; do sleep 0.1; done", kill_after="300ms")
    node.start()
    job_id = node.submit("stubborn", queue="work")
    wait_until(node.runs, "the handler to start")
    assert node.post(f"/v1/jobs/{job_id}/cancel").status in (200, 202)
    assert outcomes(node.wait_state(job_id, "cancelled")) == ["cancelled"]


def test_a_cancelled_job_can_be_retried(node: Skep, mode: str) -> None:
    node.start()
    job_id = node.submit("echo", "again", queue="work", delay="1h")
    node.cli("cancel", job_id)
    node.cli("retry", job_id)
    assert node.wait_done(job_id)["result"] == "again"


def test_a_job_still_unknown_here_is_cancelled_when_it_comes(node: Skep, broker: Broker) -> None:
    node.start()
    node.wait_consuming("work")
    blocker = node.submit("hold", queue="work")
    node.wait_state(blocker, "running")
    broker.publish("work", type="echo", message_id="foreign")
    assert node.post("/v1/jobs/foreign/cancel").status == 404
    assert node.post("/v1/jobs/foreign/cancel?queue=work").status in (200, 202)
    (node.dir / "go").touch()
    node.wait_done(blocker)
    node.wait_done(node.submit("echo", queue="work"))
    assert not node.runs("foreign") and node.job("foreign")["state"] == "cancelled"
