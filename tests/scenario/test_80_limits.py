# SPDX-License-Identifier: MIT
"""A full disk, jobs that run long, jobs that kill their workers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import Broker
from embedded import WAYS
from skep import Skep, outcomes
from waiting import stays, wait_until

ECHO = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"; cat'
HOLD = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"; while [ ! -e "$DIR/go" ]; do sleep 0.05; done; echo ended'


def prepare(skep: Skep, mode: str = "quorum", **pool: object) -> Skep:
    skep.consume("work", mode, **pool)
    skep.handler("echo", ECHO)
    skep.handler("hold", HOLD)
    return skep


# --- the disk -----------------------------------------------------------------------------------------


def test_submits_are_refused_while_the_disk_is_nearly_full(skep: Skep) -> None:
    prepare(skep, "classic")
    free = os.statvfs(skep.dir).f_bavail * os.statvfs(skep.dir).f_frsize
    # above what is free, while half of it is not: submits are refused, outcomes are taken
    skep.set("store", min_free=f"{int(free * 1.5) >> 20}M")
    skep.start()
    skep.wait_consuming("work")
    answer = skep.post("/v1/jobs", {"type": "echo", "queue": "work"})
    assert answer.status == 507 and "disk" in answer.json()["error"], (answer.status, answer.body)
    told = skep.cli("submit", "echo", "x", check=False)
    assert told.returncode == 75 and b"disk" in told.stderr
    skep.broker.publish("work", "taken", type="echo", message_id="f")
    assert skep.wait_done("f")["result"] == "taken"


@pytest.fixture
def small_disk(node_dir: Path) -> Iterator[Path]:
    """A file system of its own, which can really be filled."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    path = node_dir / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", path], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Writes a file so that about `leave` bytes are free."""
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with open(ballast, "ab") as file:
        file.write(b"\0" * max(0, free - leave))
    return ballast


def test_outcomes_wait_unacknowledged_until_there_is_room(skep: Skep, broker: Broker, small_disk: Path) -> None:
    prepare(skep, "classic", prefetch=1)
    skep.set("daemon", state_dir=small_disk)
    skep.set("store", min_free="8M")
    skep.start()
    skep.wait_consuming("work")
    ballast = fill(small_disk, leave=2 << 20)
    broker.publish("work", type="echo", message_id="last")
    skep.wait_done("last")  # the store looks at its disk when it writes
    skep.wait_log("outcomes wait in the workers")
    broker.publish_many("work", [(f"j{i}", "echo") for i in range(20)])
    wait_until(lambda: skep.runs("j0"), "a job to run")
    stays(lambda: len(skep.runs()) < 5, "consumption stops", 1.5)
    assert broker.depth("work") + broker.unacked("work") == 20, "nothing is acknowledged"
    assert skep.process.poll() is None
    ballast.unlink()
    for i in range(20):
        assert outcomes(skep.wait_done(f"j{i}", 30)) == ["done"]
    assert len(skep.runs()) == 21


def test_a_disk_that_is_really_full_loses_nothing(skep: Skep, broker: Broker, small_disk: Path, mode: str) -> None:
    """min_free 0: nothing warns, and the commit itself fails."""
    prepare(skep, mode, workers=2)
    skep.handler("fat", 'echo "$SKEP_JOB_ID" >> "$RUNS"; head -c 900000 /dev/zero | tr "\\0" x', max_result="1M")
    skep.set("daemon", state_dir=small_disk)
    skep.set("store", min_free="0")
    skep.start()
    skep.wait_consuming("work", 2)
    ballast = fill(small_disk, leave=3 << 20)
    names = [f"fat{i}" for i in range(6)]
    broker.publish_many("work", [(name, "fat") for name in names])
    skep.wait_log("full")
    ballast.unlink()
    for name in names:
        job = skep.wait_done(name, 60)
        assert job["result_bytes"] == 900_000
        runs = skep.runs(name)
        assert len(runs) == len(job["attempts"]) == 1, (runs, outcomes(job))


# --- poison -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode, through", WAYS)
def test_a_job_that_kills_its_worker_is_dead_after_three_losses(
    skep: Skep, broker: Broker, mode: str, through: str
) -> None:
    prepare(skep, mode, workers=2, prefetch=4)
    skep.handler("poison", 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"; kill -9 $PPID; sleep 5')
    skep.start()
    skep.wait_consuming("work", 2)
    neighbours = [f"n{i}" for i in range(30)]
    broker.publish_many("work", [(name, "echo") for name in neighbours[:15]])
    if through == "foreign":
        broker.publish("work", "body", type="poison", message_id="p")
    else:
        skep.submit("poison", "body", queue="work", id="p")
    broker.publish_many("work", [(name, "echo") for name in neighbours[15:]])
    job = skep.wait_over("p", 60)
    assert job["state"] == "dead" and job["losses"] == 3 and outcomes(job)[:3] == ["lost"] * 3, job
    assert "3" in job["error"] and "worker" in job["error"]
    for name in neighbours:
        neighbour = skep.wait_done(name, 40)
        assert outcomes(neighbour).count("done") == 1
        assert neighbour["attempt"] == 1 and len(skep.runs(name)) == 1, neighbour
    assert len(skep.runs("p")) == 3


def test_the_body_of_a_poison_job_is_kept_for_a_retry(skep: Skep, broker: Broker, mode: str) -> None:
    prepare(skep, mode)
    skep.handler("poison", '[ -e "$DIR/cured" ] || { kill -9 $PPID; sleep 5; }\ncat')
    skep.set("store", max_losses=1)
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", "body", type="poison", message_id="p")
    assert skep.wait_over("p", 30)["state"] == "dead"
    (skep.dir / "cured").touch()
    skep.cli("retry", "p")
    assert skep.wait_done("p")["result"] == "body"
