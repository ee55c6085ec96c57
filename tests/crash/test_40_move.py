# SPDX-License-Identifier: MIT
"""kill -9 of each part of a move, at its fault points and at random: begun again it goes on, and nothing is lost."""

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest

from broker import Broker
from embedded import Embedded
from ledger import audit, wait_all_over
from skep import Skep
from waiting import wait_until

JOBS = 2000
KILLS = 3
RUNS_MOST = 20
LINE = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT" >> "$RUNS"\n'
OUT, IN = "out", "in"

CASES = [(how, part) for how in (OUT, IN) for part in ("supervisor", "store", "everything", "broker")]
CASES += [(OUT, "courier"), (IN, "worker"), (IN, "courier")]

# The seventh passage is in the middle of the jobs; of commits there are fewer.
POINTS = [(OUT, f"{name}:kill{at}") for at in ("", "@7") for name in (
    "store.lease", "courier.leased", "courier.published", "courier.confirmed", "store.settle",
)]
POINTS += [(IN, f"{name}:kill{at}") for at in ("", "@7") for name in (
    "worker.delivered", "worker.before_take", "store.take", "worker.taken", "worker.after_ack",
)]
POINTS += [(how, f"store.{name}_commit:kill") for how in (OUT, IN) for name in ("before", "after")]
POINTS += [(how, "supervisor.spawned:kill@2") for how in (OUT, IN)]


def prepare(node: Skep) -> Skep:
    node.consume("work", "classic", workers=3, prefetch=5)
    node.handler("quick", LINE + "echo result")
    node.handler("flaky", LINE + '[ "$SKEP_ATTEMPT" -ge 2 ]', backoff="fixed 300ms")
    return node


def jobs(prefix: str, count: int) -> list[dict]:
    """Every fifth is delayed, every seventh fails once."""
    made = []
    for n in range(count):
        job = {"id": f"{prefix}{n}", "type": "flaky" if n % 7 == 0 else "quick", "queue": "work", "priority": n % 3}
        made.append(job | ({"delay": "3s"} if n % 5 == 0 else {}))
    return made


def submit(node: Skep, rows: list[dict]) -> list[str]:
    return [job_id for at in range(0, len(rows), 500) for job_id in node.submit_many(rows[at : at + 500])]


def fill(node: Skep, broker: Broker, how: str, count: int) -> list[str]:
    """The node has stopped; its jobs wait in its database, or at the broker and in its database."""
    node.broker = Embedded() if how == OUT else broker
    if how == OUT:
        node.broker.attach(node)
    node.start()
    node.cli("pause", "work")
    ids = submit(node, jobs("s", count if how == OUT else count // 2))
    if how == IN:
        wait_until(lambda: broker.passive("work"), "the queue, which the node declares")
        foreign = [(f"f{n}", "flaky" if n % 7 == 0 else "quick") for n in range(count - len(ids))]
        broker.publish_many("work", foreign)
        ids += [job_id for job_id, _ in foreign]
    node.stop()
    return ids


class Move:
    """skepd --move in the place of the node's skepd, so that its children are found in the same way."""

    def __init__(self, node: Skep, broker: Broker, how: str):
        node.write_config()
        with open(node.log_path, "ab") as log:
            node.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(node.build / "skepd"), "-c", str(node.config_path), "--move"],
                env=node.full_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                start_new_session=True,
            )
        self.process = node.process
        self.process.stdin.write(((broker.url() if how == OUT else "embedded") + "\n").encode())
        self.process.stdin.close()

    def lines(self):
        for line in self.process.stdout:
            yield json.loads(line)

    def finish(self) -> int:
        for _ in self.lines():
            pass
        self.process.stdout.close()
        return self.process.wait(60)


def kill(node: Skep, broker: Broker, part: str) -> None:
    if part == "broker":
        broker.rabbit.kill()
        broker.rabbit.start()
        return
    if part == "everything":
        pids = [node.process.pid, *(child.pid for child in node.children().values())]
    elif part == "supervisor":
        pids = [node.process.pid]
    else:
        pids = [child.pid for child in node.children().values() if child.program == f"skep-{part}"]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def finish(node: Skep, broker: Broker, how: str, ids: list[str]) -> None:
    assert not node.runs(), "a move runs nothing"
    if how == OUT:
        node.broker = broker
    else:
        node.broker = Embedded()
        node.broker.attach(node)
    node.start()
    node.cli("resume", "work")
    wait_all_over(node, ids, 120)
    books = audit(node, ids)
    print(books.text())
    if how == IN:
        broker.close()
        assert broker.depth("work") == 0 and broker.unacked("work") == 0


@pytest.mark.parametrize("how, part", CASES)
def test_two_thousand_jobs_outlive_a_move_without(
    how: str, part: str, make_skep: Callable[..., Skep], own_broker: Broker
) -> None:
    rng = random.Random(f"{how} {part}")
    node = prepare(make_skep(own_broker))
    ids = fill(node, own_broker, how, JOBS)
    kills = 0
    for _ in range(RUNS_MOST):
        move = Move(node, own_broker, how)
        due = rng.randrange(1, JOBS // KILLS)
        for line in move.lines():
            if kills < KILLS and line["moved"] >= due and not line.get("over"):
                kill(node, own_broker, part)
                kills += 1
                due = line["moved"] + rng.randrange(1, JOBS // KILLS)
        code = move.finish()
        node.assert_nothing_left()
        if code == 0:
            break
    assert code == 0
    print(f"{part} killed {kills} times")
    assert kills > 0, "it was over before anything could be killed"
    finish(node, own_broker, how, ids)


@pytest.mark.parametrize("how, fault", POINTS)
def test_a_move_outlives_the_end_at(how: str, fault: str, faulty: Skep, broker: Broker) -> None:
    node = prepare(faulty)
    ids = fill(node, broker, how, 30)
    node.environment["SKEP_FAULT"] = fault
    for _ in range(RUNS_MOST):
        code = Move(node, broker, how).finish()
        node.assert_nothing_left()
        if code == 0:
            break
    assert code == 0
    wait_until((node.dir / "fired" / fault.split(":")[0]).exists, f"{fault} to be passed", 1)
    del node.environment["SKEP_FAULT"]
    finish(node, broker, how, ids)
