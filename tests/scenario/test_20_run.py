# SPDX-License-Identifier: MIT
"""The handler contract: any executable, its input, output, environment, end."""

import os
import re
import signal
import time

import pytest

from broker import Broker
from skep import Skep, outcomes
from waiting import wait_until


@pytest.fixture
def node(skep: Skep) -> Skep:
    """A node with one worker on the queue `work`; the test adds handlers and starts it."""
    skep.consume("work")
    return skep


def run(node: Skep, job_type: str, body: str = "", **members: object) -> dict:
    return node.wait_over(node.submit(job_type, body, queue="work", **members))


def test_body_is_stdin_and_stdout_is_the_result(skep: Skep, broker: Broker, mode: str) -> None:
    skep.consume("work", mode)
    skep.handler("upper", "tr a-z A-Z")
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", "hello", type="upper", message_id="one")
    job = skep.wait_done("one")
    assert job["result"] == "HELLO" and skep.result("one") == b"HELLO"
    assert (job["id"], job["type"], job["queue"], job["attempt"]) == ("one", "upper", "work", 1)
    broker.close()
    wait_until(lambda: broker.depth("work") == 0, "the message to be acknowledged")


@pytest.mark.parametrize("command", ["/usr/bin/sha256sum", "python3 -c 'print(len(input()))'", "./local.sh a 'b c'"])
def test_any_executable_is_a_handler(node: Skep, command: str) -> None:
    node.script("local", 'echo "$#:$2"')
    node.handler("any", command=command)
    node.start()
    expected = {
        "/usr/bin/sha256sum": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  -\n",
        "python3 -c 'print(len(input()))'": "5\n",
        "./local.sh a 'b c'": "2:b c\n",
    }
    assert run(node, "any", "hello")["result"] == expected[command]


def test_stderr_is_the_log_and_each_run_keeps_its_own(node: Skep) -> None:
    node.handler("talk", 'echo "attempt $SKEP_ATTEMPT" >&2; [ "$SKEP_ATTEMPT" = 2 ]', backoff="none")
    node.start()
    job = run(node, "talk")
    assert node.logs(job["id"]) == "attempt 2\n"
    assert node.logs(job["id"], attempt=1) == "attempt 1\n"
    assert "attempt 2" in node.cli_text("logs", job["id"])


def test_a_job_without_stderr_has_no_logs(node: Skep) -> None:
    node.handler("quiet", "true")
    node.start()
    job = run(node, "quiet")
    assert node.job_answer(job["id"], "/logs").body in (b"",) or node.job_answer(job["id"], "/logs").status == 404


def test_metadata_comes_in_the_environment(node: Skep, broker: Broker) -> None:
    node.handler("env", "env", env="GREETING='good morning' EMPTY=", timeout="20s")
    node.start()
    node.wait_consuming("work")
    broker.publish(
        "work",
        type="env",
        message_id="e1",
        correlation_id="c1",
        content_type="text/plain",
        content_encoding="utf-8",
        app_id="shop",
        headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
    )
    job = node.wait_done("e1")
    got = dict(line.split("=", 1) for line in job["result"].splitlines())
    assert got["SKEP_JOB_ID"] == "e1" and got["SKEP_JOB_TYPE"] == "env" and got["SKEP_QUEUE"] == "work"
    assert got["SKEP_ATTEMPT"] == "1" and got["SKEP_WORKER"] == "work/1" and got["SKEP_NODE"]
    assert got["SKEP_RUN_ID"] and got["SKEP_TIMEOUT_MS"] == "20000"
    assert got["SKEP_CORRELATION_ID"] == "c1" and got["SKEP_CONTENT_TYPE"] == "text/plain"
    assert got["SKEP_CONTENT_ENCODING"] == "utf-8" and got["SKEP_APP_ID"] == "shop"
    assert got["TRACEPARENT"].startswith("00-0af7651916cd43dd")
    assert got["GREETING"] == "good morning" and got["EMPTY"] == "" and "PATH" in got


def test_handlers_get_a_clean_environment(node: Skep) -> None:
    node.environment |= {"SECRET_OF_THE_SHELL": "opensesame", "NOTIFY_SOCKET_X": "y"}
    node.handler("env", "env")
    node.start()
    assert "opensesame" not in run(node, "env")["result"]


def test_handlers_inherit_descriptors_0_to_3_only(node: Skep) -> None:
    node.handler("fds", "exec ls /proc/self/fd")
    node.start()
    listed = {int(word) for word in run(node, "fds")["result"].split()}
    assert {0, 1, 2, 3} <= listed and not listed - {0, 1, 2, 3, 4}, listed  # ls opens one itself


def test_the_working_directory_is_that_of_the_configuration_or_as_told(node: Skep) -> None:
    node.handler("here", "pwd")
    node.handler("there", "pwd", directory=node.tmp)
    node.start()
    assert run(node, "here")["result"].strip() == str(node.dir)
    assert run(node, "there")["result"].strip() == str(node.tmp)


@pytest.mark.parametrize(
    "code, states, outcome",
    [(0, "done", "done"), (75, "retrying", "retry"), (1, "retrying", "retry"), (64, "dead", "dead"), (65, "dead", "dead")],
)
def test_exit_codes_decide(node: Skep, code: int, states: str, outcome: str) -> None:
    node.handler("exit", "exit $(cat)", dead_exits="64, 65", backoff="fixed 1h")
    node.start()
    job_id = node.submit("exit", str(code), queue="work")
    job = node.wait_state(job_id, states)
    assert outcomes(job) == [outcome]
    run_one = job["attempts"][0]
    assert run_one["exit_code"] == code and run_one.get("signal") in (None, 0), run_one
    if code:
        assert str(code) in job["error"]
    else:
        assert job["error"] is None


@pytest.mark.parametrize("code, script", [(126, None), (127, "no-such-program-anywhere"), (127, "exit 127")])
def test_126_and_127_say_that_the_handler_is_broken(node: Skep, code: int, script: str | None) -> None:
    if script is None:
        not_executable = node.dir / "data.txt"
        not_executable.write_text("no program")
        node.handler("broken", f"exec {not_executable}", retries=0)
    else:
        node.handler("broken", script, retries=0)
    node.start()
    job = run(node, "broken")
    assert job["state"] == "dead" and job["attempts"][0]["exit_code"] == code
    assert "handler" in job["error"] and str(code) in job["error"], job["error"]


def test_a_command_that_cannot_be_started_is_told_and_harms_nobody(node: Skep) -> None:
    node.handler("absent", command="/nonexistent/program", retries=0)
    node.handler("echo", "cat")
    node.start()
    job = run(node, "absent")
    assert job["state"] == "dead" and "handler" in job["error"], job
    assert run(node, "echo", "still here")["result"] == "still here"


def test_a_signal_is_told_apart_from_an_exit(node: Skep) -> None:
    node.handler("segv", "kill -SEGV $$", retries=0)
    node.start()
    job = run(node, "segv")
    run_one = job["attempts"][0]
    assert job["state"] == "dead" and run_one["signal"] == signal.SIGSEGV and run_one.get("exit_code") is None
    assert "signal" in job["error"]


def test_timeout_is_a_signal_that_the_handler_can_catch(node: Skep) -> None:
    node.handler("soft", "trap 'echo cleaned up; exit 3' TERM\necho begin\nwhile :; do sleep 0.05; done", timeout="300ms", retries=0)
    node.start()
    job = run(node, "soft")
    assert job["state"] == "dead" and job["attempts"][0]["exit_code"] == 3, job
    assert "time" in job["error"] and 250 <= job["attempts"][0]["wall_ms"] < 5000, job


def test_a_handler_that_ignores_the_signal_is_killed(node: Skep) -> None:
    node.handler("hard", "trap '' TERM; while :; do sleep 0.1; done", timeout="200ms", kill_after="300ms", retries=0)
    node.start()
    job = run(node, "hard")
    run_one = job["attempts"][0]
    assert job["state"] == "dead" and run_one["signal"] == signal.SIGKILL and "time" in job["error"], job
    assert 450 <= run_one["wall_ms"] < 5000


def test_a_job_may_ask_for_a_shorter_timeout_only(node: Skep) -> None:
    node.handler("sleepy", "exec sleep 0.6", timeout="10s", retries=0)
    node.handler("hasty", "exec sleep 30", timeout="300ms", retries=0)
    node.start()
    assert run(node, "sleepy", timeout="200ms")["state"] == "dead"
    assert run(node, "sleepy")["state"] == "done"
    assert run(node, "hasty", timeout="20s")["state"] == "dead"


def test_the_result_is_bounded_and_marked_as_cut(node: Skep) -> None:
    node.handler("much", "head -c 300000 /dev/zero | tr '\\0' x; echo end >&2", max_result="1000")
    node.start()
    job = run(node, "much")
    assert job["state"] == "done" and job["result_cut"] is True
    assert node.result(job["id"]) == b"x" * 1000 and node.logs(job["id"]) == "end\n"


def test_the_log_keeps_its_last_part(node: Skep) -> None:
    node.handler("noise", "seq 1 50000 >&2", max_logs="1000")
    node.start()
    job = run(node, "noise")
    logs = node.logs(job["id"])
    assert len(logs) <= 1000 and logs.endswith("49999\n50000\n")


def test_a_result_that_is_not_utf8_comes_as_base64(node: Skep) -> None:
    node.handler("bytes", "printf '\\377\\000\\001'")
    node.start()
    job = run(node, "bytes")
    assert job["result"] is None and job["result_base64"] == "/wAB" and node.result(job["id"]) == b"\xff\0\1"


def test_a_handler_that_does_not_read_its_body_is_fine(node: Skep) -> None:
    node.handler("deaf", "exec true")
    node.start()
    assert run(node, "deaf", "x" * 500_000)["state"] == "done"


def test_grandchildren_are_gone_when_the_handler_is(node: Skep) -> None:
    # one in the handler's group, one in a session of its own that holds the pipes open
    node.handler(
        "litter",
        "sleep 300 &\nsetsid sleep 301 &\n(setsid sh -c 'trap \"\" TERM; sleep 302; sleep 303' &)\necho left",
    )
    node.start()
    before = len(node.all_pids())
    started = time.monotonic()
    job = run(node, "litter")
    assert job["result"] == "left\n" and time.monotonic() - started < 10
    wait_until(lambda: len(node.all_pids()) <= before, "the end of all that the handler left", 5)


def test_progress_lines_on_descriptor_3_are_shown(node: Skep) -> None:
    node.handler("work", 'echo "40 reading" >&3; while [ ! -e "$DIR/go" ]; do sleep 0.05; done')
    node.start()
    job_id = node.submit("work", queue="work")
    node.wait_state(job_id, "running")

    def shown() -> bool:
        text = node.get("/v1/pools").body.decode() + node.job_answer(job_id).body.decode()
        return "40" in text and "reading" in text

    wait_until(shown, "the progress of the running job")
    (node.dir / "go").touch()
    node.wait_done(job_id)


def test_each_run_records_what_it_used(node: Skep) -> None:
    node.handler("burn", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
    node.start()
    run_one = run(node, "burn")["attempts"][0]
    assert run_one["outcome"] == "done" and run_one["exit_code"] == 0 and run_one["worker"] == "work/1"
    assert run_one["cpu_ms"] >= 10 and run_one["wall_ms"] >= 10 and run_one["max_rss_kb"] > 500, run_one


def test_times_are_rfc3339_utc_with_milliseconds(node: Skep) -> None:
    node.handler("echo", "cat")
    node.start()
    job = run(node, "echo")
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
    for key in ("created_at", "started_at", "ended_at"):
        assert form.fullmatch(job[key]), (key, job[key])
    assert form.fullmatch(job["attempts"][0]["started_at"])
    assert job["created_at"] <= job["started_at"] <= job["ended_at"]


def test_workers_of_a_pool_run_side_by_side(skep: Skep, mode: str) -> None:
    skep.consume("work", mode, workers=3)
    skep.handler("meet", 'touch "$DIR/met-$SKEP_JOB_ID"; while [ $(ls "$DIR"/met-* | wc -l) -lt 3 ]; do sleep 0.05; done')
    skep.start()
    ids = [skep.submit("meet", queue="work") for _ in range(3)]
    jobs = [skep.wait_done(job_id) for job_id in ids]
    assert {job["attempts"][0]["worker"] for job in jobs} == {"work/1", "work/2", "work/3"}


@pytest.mark.parametrize(
    "started_as, worker, others",
    [
        ("--other", os.SCHED_BATCH, os.SCHED_OTHER),
        ("--idle", os.SCHED_IDLE, os.SCHED_IDLE),  # what an administrator chose is not undone
    ],
)
def test_workers_are_batch_processes_and_handlers_are_not(
    skep: Skep, started_as: str, worker: int, others: int
) -> None:
    skep.consume("work", "embedded")
    skep.handler("policy", "cut -d' ' -f41 /proc/self/stat")
    skep.prefix = ["chrt", started_as, "0"]
    skep.start()
    assert run(skep, "policy")["result"].strip() == str(others)
    assert [os.sched_getscheduler(pid) for pid in skep.workers()] == [worker]
    assert os.sched_getscheduler(skep.pid("store")) == others


def test_large_bodies_and_results_pass_both_ways(node: Skep, broker: Broker) -> None:
    node.handler("copy", "cat", max_result="16M")
    node.start()
    node.wait_consuming("work")
    body = os.urandom(8 << 20)
    broker.publish("work", body, type="copy", message_id="from-amqp")
    answer = node.http("POST", "/v1/jobs?type=copy&queue=work&id=from-http", body, {"Content-Type": "application/octet-stream"})
    assert answer.status == 201, answer.body
    for job_id in ("from-amqp", "from-http"):
        assert node.wait_done(job_id, 40)["result_bytes"] == len(body)
        assert node.result(job_id) == body
