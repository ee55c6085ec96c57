# SPDX-License-Identifier: MIT
"""Submits through the command line and REST, and finding jobs again."""

import base64
import json
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from skep import Skep, outcomes
from waiting import stays, wait_until


@pytest.fixture
def node(skep: Skep, chosen: Callable[[str], str]) -> Skep:
    """One worker on `work`, with a handler that echoes."""
    skep.consume("work", chosen("quorum"))
    skep.handler("echo", 'echo "$SKEP_JOB_ID" >> "$RUNS"; cat')
    return skep


def test_submit_prints_the_id_and_the_job_runs(node: Skep, mode: str) -> None:
    node.start()
    printed = node.cli_text("submit", "echo", "hello")
    assert len(printed.splitlines()) == 1
    assert node.wait_done(printed.strip())["result"] == "hello"


def test_the_body_comes_from_an_argument_a_file_or_standard_input(node: Skep) -> None:
    node.start()
    (node.dir / "body.bin").write_bytes(b"from \0 a file\n")
    ids = [
        node.cli_text("submit", "echo", f"@{node.dir}/body.bin").strip(),
        node.cli_text("submit", "echo", "-", input=b"from \xff stdin").strip(),
        node.cli_text("submit", "echo").strip(),
    ]
    for job_id, body in zip(ids, (b"from \0 a file\n", b"from \xff stdin", b"")):
        node.wait_done(job_id)
        assert node.result(job_id) == body
    assert node.cli("submit", "echo", "@/nonexistent", check=False).returncode == 66


def test_submit_takes_queue_id_retries_timeout(node: Skep) -> None:
    node.queue("other", type="classic")
    node.set("pool work", queues="work other")
    node.handler("slow", "exec sleep 20")
    node.start()
    node.cli("submit", "slow", "-q", "other", "--id", "my-job", "--retries", "0", "--timeout", "200ms")
    job = node.wait_over("my-job")
    assert job["queue"] == "other" and job["state"] == "dead" and len(job["attempts"]) == 1


def test_an_id_is_accepted_once(node: Skep, mode: str) -> None:
    node.start()
    body = {"type": "echo", "queue": "work", "id": "same", "body": "first"}
    first = node.post("/v1/jobs", body)
    assert first.status == 201 and first.json()["id"] == "same" and first.json()["queue"] == "work"
    again = node.post("/v1/jobs", body | {"body": "second"})
    assert again.status == 200 and again.json()["existing"] is True
    assert node.wait_done("same")["result"] == "first"
    assert node.post("/v1/jobs", body).json()["state"] == "done"
    assert len(node.runs("same")) == 1


def test_delay_and_at_are_kept(node: Skep, mode: str) -> None:
    node.start()
    begun = time.time()
    delayed = node.cli_text("submit", "echo", "--delay", "1s", "later").strip()
    at = (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat()
    timed = node.submit("echo", "at", queue="work", at=at)
    for job_id in (delayed, timed):
        job = node.job(job_id)
        assert job["state"] == "queued" and job["due_at"], job
    stays(lambda: not node.runs(), "nothing runs before it is due", 0.5)
    for job_id in (delayed, timed):
        node.wait_done(job_id)
        assert time.time() - begun >= 0.95


def test_a_job_that_expires_before_it_starts_is_expired(node: Skep, mode: str) -> None:
    node.handler("slow", "exec sleep 1.5")
    node.start()
    node.submit("slow", queue="work")
    late = node.submit("echo", queue="work", expires="500ms")
    job = node.wait_over(late)
    assert job["state"] == "expired" and not node.runs(late), job


def test_wait_prints_the_result_and_exits_by_the_end(node: Skep) -> None:
    node.handler("fails", "echo partly; exit 65", dead_exits="65")
    node.start()
    done = node.cli("submit", "echo", "hello", "--wait")
    assert done.stdout == b"hello"
    dead = node.cli("submit", "fails", "--wait", check=False)
    assert dead.returncode == 1 and b"65" in dead.stderr, dead


def test_lines_submits_a_job_for_each_line(node: Skep, mode: str) -> None:
    node.set("pool work", workers=2, prefetch=20)
    node.start()
    count = 2000
    told = node.cli("submit", "echo", "--lines", input="".join(f"line {i}\n" for i in range(count)))
    ids = told.stdout.decode().split()
    assert len(ids) == count and len(set(ids)) == count
    wait_until(lambda: not node.jobs(state="queued", limit=1), "all to be taken", 60)
    wait_until(lambda: len(node.runs()) == count, "all to have run", 60)
    assert sorted(words[0] for words in node.runs()) == sorted(ids)
    assert node.wait_done(ids[7])["result"] == "line 7"


def test_a_json_array_and_ndjson_submit_many(node: Skep) -> None:
    node.start()
    answer = node.post("/v1/jobs", [{"type": "echo", "body": str(i)} for i in range(3)])
    assert answer.status in (200, 201) and len(answer.json()) == 3
    for i, row in enumerate(answer.json()):
        assert node.wait_done(row["id"])["result"] == str(i)
    lines = b'{"type": "echo", "body": "x"}\n{"type": "nobody"}\nno json\n{"type": "echo"}\n'
    answer = node.http("POST", "/v1/jobs", lines, {"Content-Type": "application/x-ndjson"})
    rows = [json.loads(line) for line in answer.body.splitlines()]
    assert answer.status == 200 and ["id" in row for row in rows] == [True, False, False, True], rows
    assert rows[2]["line"] == 3 and rows[1]["line"] == 2


def test_bodies_may_be_text_json_or_base64(node: Skep) -> None:
    node.start()
    ids = [
        node.submit("echo", "text"),
        node.submit("echo", {"a": [1, 2]}),
        node.post("/v1/jobs", {"type": "echo", "body_base64": base64.b64encode(b"\xff\0").decode()}).json()["id"],
    ]
    for job_id, body in zip(ids, (b"text", b'{"a":[1,2]}', b"\xff\0")):
        node.wait_done(job_id)
        assert node.result(job_id) == body


def test_the_queue_of_a_submit_is_found_by_its_type(node: Skep) -> None:
    node.queue("special", type="classic", handler="polish")
    node.set("pool work", queues="work special")
    node.handler("polish", "echo shiny")
    node.start()
    assert node.wait_done(node.submit("polish"))["queue"] == "special"
    job_id = node.post("/v1/jobs", {"queue": "special"}).json()["id"]
    assert node.wait_done(job_id)["type"] == "polish"


WRONG_SUBMITS = [
    ({"type": "nobody", "queue": "work"}, 422),
    ({"queue": "work"}, 400),
    ({"type": "echo", "timeout": "5 bananas"}, 400),
    ({"type": "echo", "retries": -1}, 400),
    ({"type": "echo", "retries": "many"}, 400),
    ({"type": "echo", "at": "yesterday-ish"}, 400),
    ({"type": "echo", "body": "x", "body_base64": "eA=="}, 400),
    ({"type": "echo", "body_base64": "***"}, 400),
    ({"type": "echo", "id": "i" * 300}, 400),
    ({"type": "echo", "bananas": 1}, 400),
    ("echo", 400),
]


def test_a_wrong_submit_is_refused_with_a_reason(node: Skep) -> None:
    node.start()
    for job, status in WRONG_SUBMITS:
        answer = node.post("/v1/jobs", job)
        assert answer.status == status and answer.json()["error"], (job, answer)


def test_jobs_are_listed_newest_first_and_filtered(node: Skep) -> None:
    node.handler("fails", "exit 65", dead_exits="65")
    node.queue("other", type="classic")
    node.set("pool work", queues="work other")
    node.start()
    echoes = [node.submit("echo", str(i), queue="work") for i in range(3)]
    failed = node.submit("fails", queue="other")
    for job_id in (*echoes, failed):
        node.wait_over(job_id)
    later = node.submit("echo", queue="work", delay="1h")
    assert [job["id"] for job in node.jobs()] == [later, failed, *reversed(echoes)]
    assert [job["id"] for job in node.jobs(state="dead")] == [failed]
    assert [job["id"] for job in node.jobs(state="queued")] == [later]
    assert [job["id"] for job in node.jobs(type="echo", state="done")] == list(reversed(echoes))
    assert [job["id"] for job in node.jobs(queue="other")] == [failed]
    assert [job["id"] for job in node.jobs(limit=2)] == [later, failed]
    listed = node.cli_json("list", "--state", "done", "--type", "echo", "--queue", "work", "--limit", "2")
    assert [job["id"] for job in listed] == [echoes[2], echoes[1]]
    assert node.get("/v1/jobs", state="bananas").status == 400
    assert failed[:8] in node.cli_text("list", "--state", "dead")


def test_status_and_result_from_the_command_line(node: Skep) -> None:
    node.start()
    job_id = node.cli_text("submit", "echo", "hello").strip()
    node.wait_done(job_id)
    shown = node.cli_text("status", job_id)
    assert "done" in shown and "result    (5 B) hello\n" in shown
    assert node.cli_json("status", job_id)["id"] == job_id
    assert node.cli("result", job_id).stdout == b"hello"
    assert node.cli("status", "nobody", check=False).returncode == 1
    assert node.cli("result", "nobody", check=False).returncode == 1


def test_a_running_job_is_seen_as_running(node: Skep, mode: str) -> None:
    node.handler("wait", 'while [ ! -e "$DIR/go" ]; do sleep 0.05; done')
    node.start()
    job_id = node.submit("wait", queue="work")
    node.wait_state(job_id, "running")
    assert [job["id"] for job in node.jobs(state="running")] == [job_id]
    assert [line for line in node.cli_text("pools").splitlines() if " busy " in line and job_id in line]
    assert node.job_answer(job_id, "/result").status == 202
    (node.dir / "go").touch()
    node.wait_done(job_id)


def test_waiting_over_http_answers_at_the_end_or_at_the_limit(node: Skep) -> None:
    node.handler("wait", 'while [ ! -e "$DIR/go" ]; do sleep 0.05; done; echo result')
    node.start()
    job_id = node.submit("wait", queue="work")
    begun = time.monotonic()
    assert node.job_answer(job_id, wait="500ms").json()["state"] in ("queued", "running")
    assert 0.4 <= time.monotonic() - begun < 5
    (node.dir / "go").touch()
    answer = node.job_answer(job_id, "/result", wait="20s")
    assert answer.status == 200 and answer.body == b"result\n" and answer.headers["Skep-State"] == "done"


def test_queues_pools_and_ping(node: Skep) -> None:
    node.start()
    node.wait_consuming("work")
    assert [queue for queue in node.get("/v1/queues").json() if "work" in queue.values()]
    assert [pool for pool in node.get("/v1/pools").json() if "work" in pool.values()]
    assert "work" in node.cli_text("queues") and "work" in node.cli_text("pools")
    assert isinstance(node.cli_json("queues"), list) and isinstance(node.cli_json("pools"), list)
    node.cli("ping")
    health = node.get("/healthz").json()
    assert health["version"] and health["node"]


def test_the_command_line_says_when_nothing_answers(node: Skep) -> None:
    node.write_config()
    told = node.cli("ping", check=False)
    assert told.returncode == 69 and b"sock" in told.stderr
    assert node.cli("submit", "echo", "x", check=False).returncode == 69


def test_the_socket_is_found_by_option_environment_and_file(node: Skep) -> None:
    node.start()
    program = str(node.build / "skep")
    for words, extra in (
        ([program, "--socket", node.socket, "ping"], {}),
        ([program, "ping"], {"SKEP_SOCKET": node.socket}),
        ([program, "ping"], {"SKEP_CONFIG": str(node.config_path)}),
    ):
        told = subprocess.run(words, env=node.full_environment() | extra, capture_output=True, timeout=20)
        assert told.returncode == 0, (words, extra, told.stderr)


def test_runs_of_several_attempts_are_listed_in_order(node: Skep, mode: str) -> None:
    node.handler("flaky", '[ "$SKEP_ATTEMPT" -ge 3 ]', backoff="none")
    node.start()
    job = node.wait_done(node.submit("flaky", queue="work"))
    assert [run["n"] for run in job["attempts"]] == sorted(run["n"] for run in job["attempts"])
    assert outcomes(job) == ["retry", "retry", "done"]
