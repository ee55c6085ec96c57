# SPDX-License-Identifier: MIT
"""skep move: what waits goes from the embedded queue to a broker and back; nothing is lost, nothing runs twice."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from broker import Broker
from embedded import Embedded
from skep import Skep, outcomes
from waiting import wait_until

LINE = 'echo "$SKEP_JOB_ID $SKEP_ATTEMPT $(date +%s.%N)" >> "$RUNS"\n'


def prepare(node: Skep, queue_type: str = "classic", **pool: object) -> Skep:
    node.consume("work", queue_type, prefetch=1, **pool)
    node.handler("echo", LINE + "cat")
    node.handler("flaky", LINE + '[ "$SKEP_ATTEMPT" -ge 3 ]', backoff="fixed 4s")
    return node


@pytest.fixture
def embedded(make_skep: Callable[..., Skep], queue_type: str) -> Skep:
    return prepare(make_skep(Embedded()), queue_type)


@pytest.fixture
def on_broker(make_skep: Callable[..., Skep], broker: Broker, queue_type: str) -> Skep:
    return prepare(make_skep(broker), queue_type)


def move(node: Skep, url: str, *words: str, check: bool = True, timeout: float = 90):
    """With the url on standard input, as one with a password must be given."""
    return node.cli("move", "--to", "-", *words, input=url + "\n", check=check, timeout=timeout)


def move_json(node: Skep, url: str, *words: str) -> dict:
    return json.loads(move(node, url, "--json", *words).stdout)


def switch(node: Skep, to: Broker | Embedded) -> None:
    """The line that a person changes after a move."""
    node.broker = to
    if isinstance(to, Embedded):
        to.attach(node)
    node.start()


def order(node: Skep) -> list[str]:
    return [words[0] for words in node.runs()]


def ran_at(node: Skep, job_id: str) -> list[float]:
    return [float(words[2]) for words in node.runs(job_id)]


def wait_retrying(node: Skep, job_id: str) -> float:
    """When it is to run again."""
    return due_of(node.wait_state(job_id, "retrying"))


def due_of(job: dict) -> float:
    return time.mktime(time.strptime(job["due_at"][:19] + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone


def fill(node: Skep) -> dict[str, float]:
    """Jobs that wait with priorities, one that is delayed and one that was tried once; the due times of these two."""
    flaky = node.submit("flaky", queue="work", id="flaky")
    due = {flaky: wait_retrying(node, flaky)}
    node.cli("pause", "work")
    for n, priority in enumerate((0, 3, 0, 9)):
        node.submit("echo", f"body {n}", queue="work", id=f"p{priority}-{n}", priority=priority)
    due["later"] = time.time() + 6
    node.submit("echo", "late", queue="work", id="later", delay="6s")
    return due


def test_what_waits_in_the_database_goes_to_the_broker(embedded: Skep, broker: Broker, queue_type: str) -> None:
    node = embedded.start()
    due = fill(node)
    node.stop()
    assert move_json(node, broker.url(), "--dry-run")["left"] == 6
    assert not broker.passive("work")
    said = move_json(node, broker.url())
    assert (said["moved"], said["left"]) == (6, 0)
    assert broker.depth("work") == 6
    assert order(node) == ["flaky"]  # nothing has run meanwhile
    switch(node, broker)
    node.cli("resume", "work")
    for job_id in ("p9-3", "p3-1", "p0-0", "p0-2"):
        assert outcomes(node.wait_done(job_id)) == ["done"]
    if queue_type == "classic":  # a quorum queue puts what is handed back, while the pause holds, at its end
        assert [job_id for job_id in order(node) if job_id[0] == "p"] == ["p9-3", "p3-1", "p0-0", "p0-2"]
    assert node.result("p0-2") == b"body 2"
    assert outcomes(node.wait_done("later")) == ["done"]
    flaky = node.wait_done("flaky", 30)
    assert outcomes(flaky) == ["retry", "retry", "done"]
    assert [words[1] for words in node.runs("flaky")] == ["1", "2", "3"]
    for job_id, run in (("later", 0), ("flaky", 1)):
        assert due[job_id] - 0.05 <= ran_at(node, job_id)[run] < due[job_id] + 5
    assert len(node.runs()) == 8
    assert broker.depth("work") == 0


def test_what_waits_at_the_broker_comes_back(on_broker: Skep, broker: Broker) -> None:
    node = on_broker.start()
    node.wait_consuming("work")
    due = fill(node)
    wait_until(lambda: broker.depth("work") == 4, "the jobs to be at the broker")
    later = time.time() + 7
    broker.publish("work", "theirs", type="echo", message_id="foreign", headers={"x-mine": "kept"})
    broker.publish("work", "no id", type="echo")
    broker.publish("work", "timed", type="echo", message_id="timed", headers={"job-at": round(later, 3)})
    broker.publish("work", "bad", type="echo", message_id="bad", headers={"job-timeout": "soon"})
    node.stop()
    said = move_json(node, "embedded", "--dry-run")
    assert (said["moved"], said["left"]) == (0, 8)
    said = move_json(node, "embedded")
    assert (said["moved"], said["left"]) == (8, 0)
    assert broker.depth("work") == 0 and broker.unacked("work") == 0
    assert order(node) == ["flaky"]
    switch(node, Embedded())
    node.cli("resume", "work")
    for job_id in ("p9-3", "p3-1", "p0-0", "p0-2", "foreign", "timed", "later"):
        assert outcomes(node.wait_done(job_id)) == ["done"]
    assert node.result("foreign") == b"theirs"
    assert "job-timeout" in node.wait_state("bad", "dead")["error"]
    assert outcomes(node.wait_done("flaky", 30)) == ["retry", "retry", "done"]
    assert [words[1] for words in node.runs("flaky")] == ["1", "2", "3"]
    for job_id, at in (("later", due["later"]), ("timed", later), ("flaky", due["flaky"])):
        run = 1 if job_id == "flaky" else 0
        assert at - 0.05 <= ran_at(node, job_id)[run] < at + 5
    wait_until(lambda: len(node.runs()) == 11, "the job without an id")
    assert len([job for job in node.all_jobs() if job["state"] == "done"]) == 9


def test_there_and_back_keeps_due_times_and_attempts(embedded: Skep, broker: Broker) -> None:
    node = embedded.start()
    due = fill(node)
    node.stop()
    assert move_json(node, broker.url())["moved"] == 6
    node.broker = broker
    node.write_config()
    assert move_json(node, "embedded")["moved"] == 6
    switch(node, Embedded())
    node.cli("resume", "work")
    for job_id in ("p9-3", "p3-1", "p0-0", "p0-2", "later"):
        assert outcomes(node.wait_done(job_id)) == ["done"]
    assert [job_id for job_id in order(node) if job_id[0] == "p"] == ["p9-3", "p3-1", "p0-0", "p0-2"]
    assert outcomes(node.wait_done("flaky", 30)) == ["retry", "retry", "done"]
    assert due["later"] - 0.05 <= ran_at(node, "later")[0]
    assert due["flaky"] - 0.05 <= ran_at(node, "flaky")[1]


def test_a_job_sent_ahead_and_still_in_the_database_runs_once(embedded: Skep, broker: Broker) -> None:
    """A move that was killed between the broker's word and the store's leaves a job in both."""
    node = embedded.start()
    node.submit("echo", "x", queue="work", id="twice", delay="4s")
    node.stop()
    database = node.dir / "state"
    copy = {path.name: path.read_bytes() for path in database.glob("skep.db*")}
    assert move_json(node, broker.url())["moved"] == 1
    for path in database.glob("skep.db*"):
        path.unlink()
    for name, content in copy.items():
        (database / name).write_bytes(content)
    assert move_json(node, broker.url())["moved"] == 1
    assert broker.depth("work") == 2
    switch(node, broker)
    assert outcomes(node.wait_done("twice")) == ["done"]
    wait_until(lambda: broker.depth("work") == 0 and broker.unacked("work") == 0, "both copies to be acknowledged")
    assert order(node) == ["twice"]


def test_a_cancelled_job_stays_cancelled(embedded: Skep, broker: Broker) -> None:
    node = embedded.start()
    node.cli("pause", "work")
    for job_id in ("kept", "gone"):
        node.submit("echo", "x", queue="work", id=job_id)
    node.cli("cancel", "gone")
    node.stop()
    assert move_json(node, broker.url())["moved"] == 1
    switch(node, broker)
    node.cli("resume", "work")
    node.wait_done("kept")
    assert order(node) == ["kept"]
    assert node.job("gone")["state"] == "cancelled"


@pytest.mark.parametrize("queue_type", ["classic"], indirect=False)
class TestRefusals:
    def test_a_running_node_is_not_moved(self, embedded: Skep, broker: Broker) -> None:
        node = embedded.start()
        done = move(node, broker.url(), check=False)
        assert done.returncode == 75
        assert b"stop it first" in done.stderr and str(node.process.pid).encode() in done.stderr
        assert node.healthy()

    def test_a_broker_that_is_not_there(self, embedded: Skep, broker: Broker) -> None:
        node = embedded.start()
        node.cli("pause", "work")
        node.submit("echo", "x", queue="work", id="one")
        node.stop()
        with socket.socket() as held:  # bound and not listening: nobody answers there
            held.bind(("127.0.0.1", 0))
            done = move(node, f"amqp://127.0.0.1:{held.getsockname()[1]}/", check=False)
        assert done.returncode == 69
        assert b"no connection to the broker" in done.stderr and b"nothing is lost" in done.stderr
        assert move_json(node, broker.url())["moved"] == 1

    def test_urls_that_are_none(self, embedded: Skep) -> None:
        embedded.write_config()
        for url in ("amqp//host", "http://host", ""):
            assert move(embedded, url, check=False).returncode == 64
        assert embedded.cli("move", check=False).returncode == 64

    def test_a_password_is_not_taken_from_the_command_line(self, embedded: Skep) -> None:
        embedded.write_config()
        done = embedded.cli("move", "--to", "amqp://me:secret@127.0.0.1/", check=False)
        assert done.returncode == 64
        assert b"standard input" in done.stderr and b"secret" not in done.stderr

    def test_moving_back_needs_a_broker_in_the_configuration(self, embedded: Skep) -> None:
        embedded.write_config()
        done = embedded.cli("move", "--to", "embedded", check=False)
        assert done.returncode == 78 and b"no broker" in done.stderr

    def test_a_move_from_broker_to_broker_is_two_moves(self, on_broker: Skep, broker: Broker) -> None:
        on_broker.write_config()
        done = move(on_broker, broker.url(), check=False)
        assert done.returncode == 78 and b"embedded" in done.stderr

    def test_without_a_configuration(self, embedded: Skep) -> None:
        embedded.write_config()
        embedded.config_path.unlink()
        assert embedded.cli("move", "--to", "embedded", check=False).returncode == 78


def with_user(broker: Broker, password: str) -> str:
    """The broker's url for a user of its own."""
    name = f"mover-{broker.vhost.replace('/', '')}-{os.urandom(4).hex()}"
    broker.rabbit.ctl("add_user", name, password)
    broker.rabbit.ctl("set_permissions", "-p", broker.vhost, name, ".*", ".*", ".*")
    return f"amqp://{name}:{password}@{broker.url().split('@')[1]}"


def command_lines(node: Skep) -> str:
    """Of all that runs for the node."""
    text = ""
    for pid in node.all_pids():
        with suppress(OSError):
            text += Path(f"/proc/{pid}/cmdline").read_text()
            text += Path(f"/proc/{pid}/environ").read_text(errors="replace")
    return text


def test_it_says_what_to_change_and_shows_no_password(embedded: Skep, broker: Broker) -> None:
    node = embedded.start()
    node.cli("pause", "work")
    node.submit("echo", "x", queue="work")
    node.stop()
    before = node.config_path.read_text()
    url = with_user(broker, "s3cr3t")
    done = move(node, url)
    text = done.stdout.decode()
    assert "1 job moved" in text and f"[broker]\nurl = {url.replace(':s3cr3t', '')}\n" in text
    assert str(node.config_path) in text
    assert "s3cr3t" not in text + done.stderr.decode()
    assert node.config_path.read_text() == before


def test_no_process_of_a_move_shows_the_password(embedded: Skep, broker: Broker) -> None:
    node = embedded.start()
    node.set("broker", topology="none")  # there is no queue: it goes on trying
    node.cli("pause", "work")
    node.submit("echo", "x", queue="work")
    node.stop()
    node.write_config()
    moving = subprocess.Popen(
        [node.build / "skep", "-c", node.config_path, "move", "--to", "-"], env=node.full_environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    moving.stdin.write((with_user(broker, "s3cr3t") + "\n").encode())
    moving.stdin.close()
    wait_until(lambda: "skep-courier" in command_lines(node), "the courier of the move")
    assert "s3cr3t" not in command_lines(node)
    os.killpg(moving.pid, signal.SIGINT)  # as ^C at a terminal
    assert moving.wait(20) == 75
    said = moving.stdout.read()
    assert b"stopped before all was moved" in said and b"left: 1" in said and b"s3cr3t" not in said
    moving.stdout.close()
    node.assert_nothing_left()


def test_the_password_comes_from_the_password_file(embedded: Skep, broker: Broker) -> None:
    user, password = broker.url().split("//")[1].split("@")[0].split(":")
    secret = embedded.dir / "password"
    secret.write_text(password + "\n")
    secret.chmod(0o600)
    embedded.set("broker", password_file=secret)
    node = embedded.start()
    node.cli("pause", "work")
    node.submit("echo", "x", queue="work")
    node.stop()
    url = broker.url().replace(f"{user}:{password}@", f"{user}@")
    assert node.cli_json("move", "--to", url)["moved"] == 1
    assert broker.depth("work") == 1


def test_nothing_to_move_is_no_fault(embedded: Skep, broker: Broker) -> None:
    embedded.start().stop()
    assert move_json(embedded, broker.url())["moved"] == 0
    embedded.broker = broker
    embedded.write_config()
    assert move_json(embedded, "embedded")["moved"] == 0


def test_a_queue_that_the_broker_refuses_stays_where_it_is(embedded: Skep, broker: Broker) -> None:
    """Passive: the queue is not made. What others can move does."""
    embedded.queue("other", type="classic")
    embedded.set("pool work", queues="work other")
    embedded.set("broker", topology="none")
    node = embedded.start()
    for queue in ("work", "other"):
        node.cli("pause", queue)
        node.submit("echo", "x", queue=queue, id=f"in-{queue}", delay="1h")
    node.stop()
    broker.declare("other", x_queue_type="classic")
    done = move(node, broker.url(), check=False)
    assert done.returncode == 75 and b"1 job does not move" in done.stderr and b"'work'" in done.stderr
    assert broker.depth("other") == 1
    node.start()
    job = node.job("in-work")
    assert due_of(job) > time.time() + 3000 and not node.runs()
