# SPDX-License-Identifier: MIT
"""Services: started once, many jobs, JSON lines on descriptor 3."""

import base64
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from broker import Broker
from skep import ROOT, Skep, outcomes
from waiting import stays, wait_until

# The body says what to do with the job: "echo", "pid", "log", "hold", or what goes wrong.
SERVICE = """#!/usr/bin/python3
import json, os, sys, threading, time
directory, capabilities = os.environ["DIR"], sys.argv[1].split(",")
lock = threading.Lock()

def say(**message):
    with lock:
        data = json.dumps(message).encode() + b"\\n"
        while data:
            data = data[os.write(3, data):]

def hold():
    while not os.path.exists(directory + "/go"):
        time.sleep(0.02)

def work(job):
    run, word = job["run"], job.get("body", "").split(" ")[0]
    with open(os.environ["RUNS"], "a") as runs:
        runs.write(f"{job['id']} {job['attempt']} {os.getpid()}\\n")
    if word == "crash":
        os._exit(3)
    elif word == "kill":
        os.kill(os.getpid(), 11)
    elif word == "garble":
        os.write(3, b"this is no JSON\\n")
        hold()
    elif word == "stranger":
        say(done={"run": "00000000-0000-7000-8000-000000000000"})
        hold()
    elif word == "fail":
        say(failed={"run": run, "error": "no luck", "retry": False})
    elif word == "again" and job["attempt"] == 1:
        say(failed={"run": run, "error": "not yet", "retry": True})
    elif word == "log":
        say(log={"run": run, "text": "one"}, unknown={"x": 1})
        say(log={"run": run, "text": "two"})
        print("said to stdout", flush=True)
        print("said to stderr", file=sys.stderr, flush=True)
        say(progress={"run": run, "percent": 42, "text": "half way"})
        hold()
        say(done={"run": run, "result": {"answer": 42}})
    elif word == "wait":
        for _ in range(3000):
            if run in cancelled:
                return say(failed={"run": run, "error": "cancelled"})
            time.sleep(0.01)
    elif word == "grow":
        kept.append(bytearray(64 << 20))
        say(done={"run": run, "result": str(os.getpid())})
    else:
        if word == "hold":
            hold()
        if word == "pid":
            job["body"] = str(os.getpid())
        say(done={"run": run} | ({"result": job["body"]} if "body" in job else {"result_base64": job["body_base64"]}))

cancelled, kept = set(), []
if "silent" not in capabilities:
    say(hello={"version": 1, "capabilities": capabilities})
for line in os.fdopen(3, "rb", closefd=False):
    message = json.loads(line)
    concurrency = message.get("hello", {}).get("concurrency", 0) or locals().get("concurrency", 1)
    if "job" in message and (concurrency > 1 or "cancel" in capabilities):
        threading.Thread(target=work, args=(message["job"],), daemon=True).start()
    elif "job" in message:
        work(message["job"])
    elif "cancel" in message:
        cancelled.add(message["cancel"]["run"])
    elif "ping" in message and "deaf" not in capabilities:
        say(pong=message["ping"])
"""


@pytest.fixture
def node(skep: Skep, chosen: Callable[[str], str]) -> Skep:
    skep.consume("work", chosen("classic"), prefetch=20)
    serve(skep)
    return skep


def serve(skep: Skep, capabilities: str = "-", name: str = "s", **options: object) -> None:
    options = {"backoff": "fixed 1h"} | options
    skep.handler(name, service=f"{skep.script('service', SERVICE)} {capabilities}", **options)


def run(node: Skep, body: str, state: str = "done") -> dict:
    return node.wait_state(node.submit("s", body, queue="work"), state)


def error_of(job: dict) -> str:
    return job["attempts"][-1]["error"]


@pytest.mark.parametrize("language", ["py", "js", "sh", "c"])
def test_examples_carry_any_body(skep: Skep, broker: Broker, language: str) -> None:
    program = ROOT / "examples/services" / f"echo.{language}"
    if language == "c":
        built = skep.dir / "echo"
        subprocess.run(["cc", "-Wall", "-Werror", "-o", built, program], check=True)
        program = built
    skep.consume("work", prefetch=20)
    skep.handler("echo", service=program)
    skep.start()
    skep.wait_consuming("work")
    bodies = [b"", b"plain", b"line\nfeed\n\ttab \"quoted\" \\ {}}}", "h\u00e9\u00a0\U0001f41d".encode(), bytes(range(256)),
              b'"body":"x"}}', b"nul\0nul", b"x" * 300000, os.urandom(100000)]
    for n, body in enumerate(bodies):
        broker.publish("work", body, type="echo", message_id=f"b{n}")
    for n, body in enumerate(bodies):
        skep.wait_done(f"b{n}")
        assert skep.result(f"b{n}") == body
    assert len(skep.children()) == 4 and len(skep.log().split("descriptor 3")) == 1
    assert skep.stop() == 0


def test_one_process_serves_all_jobs(node: Skep) -> None:
    node.start()
    pids = {run(node, "pid")["result"] for _ in range(5)}
    assert len(pids) == 1
    job = run(node, "again", "retrying")
    assert error_of(job) == "not yet"
    job = run(node, "fail", "dead")
    assert error_of(job) == "no luck"


def test_pipelined_results_are_those_of_their_jobs(node: Skep, broker: Broker, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    broker.publish_many("work", [(f"j{n}", "s") for n in range(300)])
    for n in range(300):
        assert node.wait_done(f"j{n}")["result"] == "x"
    jobs = node.submit_many([{"type": "s", "queue": "work", "id": f"k{n}", "body": f"body {n}"} for n in range(50)])
    for n, job_id in enumerate(jobs):
        assert node.wait_done(job_id)["result"] == f"body {n}"
    assert len(node.runs()) == 350 and len({words[2] for words in node.runs()}) == 1


def test_a_crash_fails_only_the_job_that_was_begun(node: Skep, broker: Broker, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    for n in range(20):
        run(node, "echo")  # short jobs: the next ones are sent ahead
    for n in range(40):
        broker.publish("work", "crash" if n == 20 else "echo", type="s", message_id=f"j{n}")
    job = node.wait_state("j20", "retrying")
    assert outcomes(job) == ["retry"] and "exited with 3" in error_of(job), job
    for n in range(40):
        if n != 20:
            assert outcomes(node.wait_done(f"j{n}")) == ["done"]


@pytest.mark.parametrize(
    "body, said",
    [("crash", "exited with 3"), ("kill", "signal 11"), ("garble", "this is no JSON"), ("stranger", "a run that it does")],
)
def test_what_goes_wrong_is_in_the_error(node: Skep, body: str, said: str) -> None:
    node.start()
    assert said in error_of(run(node, body, "retrying"))
    assert run(node, "echo on")["result"] == "echo on"


def test_hello_must_come_in_time(node: Skep) -> None:
    serve(node, "silent", start_timeout="300ms")
    node.start()
    assert "did not say hello within 300ms" in error_of(run(node, "x", "retrying"))


def test_a_program_that_is_missing(node: Skep) -> None:
    node.handler("s", service="/no/such/program", backoff="fixed 1h")
    node.start()
    job = run(node, "x", "retrying")
    assert job["attempts"][0]["exit_code"] == 127 and "/no/such/program" in error_of(job)


def test_jobs_overlap_as_far_as_concurrency(node: Skep, broker: Broker, mode: str) -> None:
    serve(node, concurrency=4)
    node.start()
    node.wait_consuming("work")
    for n in range(6):
        broker.publish("work", "hold", type="s", message_id=f"j{n}")
    wait_until(lambda: len(node.runs()) == 4, "four jobs at once")
    stays(lambda: len(node.runs()) == 4, "no fifth job", 0.3)
    (node.dir / "go").touch()
    for n in range(6):
        node.wait_done(f"j{n}")


@pytest.mark.parametrize("capabilities", ["-", "cancel"])
def test_timeout(node: Skep, capabilities: str) -> None:
    serve(node, capabilities, timeout="300ms", kill_after="5s")
    node.start()
    for _ in range(2):
        assert error_of(run(node, "wait", "retrying")) == "timed out after 300ms"
    before = node.runs()[-1][2]
    pid = run(node, "pid")["result"]
    assert (pid == before) == (capabilities == "cancel")


def test_a_service_that_does_not_cancel_is_killed(node: Skep, broker: Broker, mode: str) -> None:
    serve(node, "cancel", concurrency=2, timeout="0s", kill_after="300ms")
    node.start()
    node.wait_consuming("work")
    for name in ("guilty", "innocent"):
        broker.publish("work", "hold", type="s", message_id=name)
    wait_until(lambda: len(node.runs()) == 2, "both to run")
    assert node.post("/v1/jobs/guilty/cancel?queue=work").status in (200, 202)
    assert outcomes(node.wait_state("guilty", "cancelled")) == ["cancelled"]
    assert "another job, which was cancelled" in error_of(node.wait_state("innocent", "retrying"))


def test_a_running_job_is_cancelled(node: Skep) -> None:
    serve(node, "cancel")
    node.start()
    job_id = node.submit("s", "wait", queue="work")
    wait_until(node.runs, "the job to run")
    node.post(f"/v1/jobs/{job_id}/cancel")
    assert outcomes(node.wait_state(job_id, "cancelled")) == ["cancelled"]
    assert run(node, "pid")["result"] == node.runs()[0][2]


def test_silence_after_a_ping_ends_it(node: Skep) -> None:
    serve(node, "cancel,ping,deaf", ping="200ms")
    node.start()
    assert "did not answer a ping" in error_of(run(node, "hold", "retrying"))


def test_pongs_keep_it(node: Skep) -> None:
    serve(node, "cancel,ping", ping="100ms")
    node.start()
    job_id = node.submit("s", "hold", queue="work")
    wait_until(node.runs, "the job to run")
    stays(lambda: node.job(job_id)["state"] == "running", "it runs on", 1)
    (node.dir / "go").touch()
    node.wait_done(job_id)


def test_max_jobs_recycles(node: Skep, broker: Broker, mode: str) -> None:
    serve(node, max_jobs=3)
    node.start()
    node.wait_consuming("work")
    broker.publish_many("work", [(f"j{n}", "s") for n in range(10)])
    for n in range(10):
        assert outcomes(node.wait_done(f"j{n}")) == ["done"]
    assert len({words[2] for words in node.runs()}) == 4


def test_max_rss_recycles(node: Skep) -> None:
    serve(node, max_rss="60M")
    node.start()
    assert run(node, "grow")["result"] != run(node, "grow")["result"]


def test_logs_progress_and_json_results(node: Skep) -> None:
    node.start()
    job_id = node.submit("s", "log", queue="work")
    wait_until(lambda: "half way" in node.get("/v1/pools").body.decode(), "the progress")
    (node.dir / "go").touch()
    assert node.wait_done(job_id)["result"] == '{"answer":42}'
    assert node.logs(job_id) == "one\ntwo\n"
    node.wait_log("handler 's': said to stdout")
    node.wait_log("handler 's': said to stderr")


def test_warmup(node: Skep) -> None:
    serve(node, warmup="yes")
    node.start()
    wait_until(lambda: any(b"service.sh" in Path(f"/proc/{p}/cmdline").read_bytes() for p in node.all_pids()), "it to start")


def test_commands_and_services_side_by_side(node: Skep, broker: Broker, mode: str) -> None:
    node.handler("c", "(setsid sleep 1000 &); cat")
    node.start()
    node.wait_consuming("work")
    pid = run(node, "pid")["result"]
    for n in range(40):
        broker.publish("work", f"body {n}", type="sc"[n % 2], message_id=f"j{n}")
    for n in range(40):
        job = node.wait_done(f"j{n}")
        assert job["result"] == f"body {n}" and outcomes(job) == ["done"]
    assert run(node, "pid")["result"] == pid


def test_a_stop_lets_it_finish(node: Skep, broker: Broker, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    broker.publish("work", "hold", type="s", message_id="first")
    wait_until(node.runs, "the job to run")
    broker.publish("work", "echo", type="s", message_id="second")
    node.signal(signal.SIGTERM)
    wait_until(lambda: broker.depth("work") == 1, "the waiting job to be handed back")
    (node.dir / "go").touch()
    assert node.wait_exit() == 0
    node.assert_nothing_left()
    node.start()
    assert outcomes(node.wait_done("first")) == ["done"] and outcomes(node.wait_done("second")) == ["done"]


def test_a_stop_releases_at_its_limit(node: Skep) -> None:
    node.set("daemon", stop_timeout="500ms")
    node.start()
    job_id = node.submit("s", "hold", queue="work")
    wait_until(node.runs, "the job to run")
    assert node.stop(20) == 0
    (node.dir / "go").touch()
    node.start()
    job = node.wait_done(job_id)
    assert outcomes(job) == ["released", "done"] and job["attempt"] == 1, job


def test_the_worker_dies(node: Skep, broker: Broker, mode: str) -> None:
    node.start()
    node.wait_consuming("work")
    for n in range(10):
        run(node, "echo")
    broker.publish("work", "hold", type="s", message_id="held")
    wait_until(lambda: node.runs("held"), "the job to run")
    for n in range(5):
        broker.publish("work", "echo", type="s", message_id=f"j{n}")
    service = int(node.runs("held")[0][2])
    node.kill_child("work/1")
    wait_until(lambda: not os.path.exists(f"/proc/{service}"), "the service to die with it")
    (node.dir / "go").touch()
    job = node.wait_done("held")
    assert outcomes(job) == ["lost", "done"], job
    for n in range(5):
        assert outcomes(node.wait_done(f"j{n}"))[-1] == "done"
