# SPDX-License-Identifier: MIT
"""The HTTP interface with input that no friend would send; and with curl, as people use it."""

import json
import os
import shutil
import socket
import stat
import subprocess

import pytest

from skep import Skep
from waiting import wait_until


@pytest.fixture
def node(skep: Skep) -> Skep:
    skep.consume("work")
    skep.handler("echo", "cat")
    return skep.start()


def raw(node: Skep, data: bytes, seconds: float = 10) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(seconds)
        sock.connect(node.socket)
        answer = b""
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while part := sock.recv(65536):
                answer += part
        except OSError:
            pass
        return answer


def test_curl_submits_and_reads(node: Skep) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")

    def curl(*words: str) -> bytes:
        command = ["curl", "-sS", "--unix-socket", node.socket, *words]
        return subprocess.run(command, capture_output=True, check=True, timeout=20).stdout

    (node.dir / "file").write_bytes(b"as it \0 is\n")
    told = json.loads(curl("http://skep/v1/jobs?type=echo&queue=work", "--data-binary", f"@{node.dir}/file"))
    node.wait_done(told["id"])
    assert curl(f"http://skep/v1/jobs/{told['id']}/result") == b"as it \0 is\n"
    assert json.loads(curl("-d", '{"type": "echo"}', "-H", "Content-Type: application/json", "http://skep/v1/jobs"))["id"]
    assert json.loads(curl(f"http://skep/v1/jobs/{told['id']}"))["state"] == "done"


MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]x",
    b'{"type": "echo", "type": 7}',
    b'{"type": ["echo"]}',
    b'{"type": "echo", "id": ""}',
    b'{"type": "echo", "queue": 5}',
    b'{"type": "echo", "priority": 1e9}',
    b'{"type": "echo", "delay": "-5s"}',
    b'{"type": "echo", "delay": 1e300}',
    b'{"type": "e\\u0000cho"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 50_000,
]


def test_malformed_submits_are_answered_with_400(node: Skep) -> None:
    for body in MALFORMED:
        answer = node.http("POST", "/v1/jobs", body, {"Content-Type": "application/json"})
        assert answer.status in (400, 413, 422) and answer.json()["error"], (body[:80], answer)
    assert node.healthy() and not node.jobs()


WRONG_REQUESTS = [
    ("GET", "/", 404),
    ("GET", "/v1/nothing", 404),
    ("DELETE", "/v1/jobs", 405),
    ("POST", "/healthz", 405),
    ("GET", "/v1/jobs/none", 404),
    ("GET", "/v1/jobs/none/result", 404),
    ("GET", "/v1/jobs/none/logs", 404),
    ("GET", "/v1/jobs/../../etc/passwd", 404),
    ("GET", "/v1/jobs/%00", 404),
    ("GET", "/v1/jobs/" + "a" * 4000, 404),
    ("GET", "/v1/jobs?limit=0", 400),
    ("GET", "/v1/jobs?limit=many", 400),
    ("GET", "/v1/jobs?limit=100000", 400),
    ("GET", "/v1/jobs?before=x", 400),
]


def test_wrong_requests_have_their_status(node: Skep) -> None:
    for method, path, status in WRONG_REQUESTS:
        answer = node.http(method, path)
        assert answer.status == status or (status == 404 and answer.status == 400), (method, path[:80], answer)
        assert answer.json()["error"]


NO_HTTP = [
    b"\0" * 1000,
    b"GET\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nshort",
    b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
]


def test_bytes_that_are_no_http_harm_nobody(node: Skep) -> None:
    before = node.pid("gateway")
    for data in NO_HTTP:
        first = raw(node, data).split(b"\r\n")[0]
        assert b" 200 " not in first and b" 201 " not in first, (data[:80], first)
        assert node.healthy() and node.pid("gateway") == before, data[:80]


def test_a_body_above_the_limit_is_413(node: Skep) -> None:
    head = b"POST /v1/jobs?type=echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n"
    assert b" 413 " in raw(node, head + b"x" * 1000).split(b"\r\n")[0]
    assert node.healthy()


def test_slow_and_idle_clients_do_not_keep_others_out(node: Skep) -> None:
    idle = []
    for _ in range(100):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(node.socket)
        sock.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")
        idle.append(sock)
    try:
        assert node.healthy()
        assert node.wait_done(node.submit("echo", "x", queue="work"))
    finally:
        for sock in idle:
            sock.close()


def test_many_may_wait_for_one_job(node: Skep) -> None:
    job_id = node.submit("echo", "x", queue="work", delay="2s")
    waiting = []
    for _ in range(50):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect(node.socket)
        sock.sendall(f"GET /v1/jobs/{job_id}?wait=20s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        waiting.append(sock)
    assert node.healthy()
    for sock in waiting:
        answer = b""
        while part := sock.recv(65536):
            answer += part
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["state"] == "done"
        sock.close()


def test_a_client_that_leaves_while_waiting_is_forgotten(node: Skep) -> None:
    job_id = node.submit("echo", queue="work", delay="1h")
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(node.socket)
            sock.sendall(f"GET /v1/jobs/{job_id}?wait=1h HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert node.healthy()
    node.cli("cancel", job_id)
    assert node.job(job_id)["state"] == "cancelled"


def test_the_sockets_have_their_modes(node: Skep) -> None:
    assert stat.S_IMODE(os.stat(node.socket).st_mode) == 0o660
    for path in (node.dir / "run").glob("store-*.sock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list((node.dir / "run").glob("store-*.sock"))


def test_ids_of_any_text_are_found_again(node: Skep) -> None:
    for job_id in ("with space", "sl/ash", "ümläut", "per%cent", "a?b=c&d#e", "'; drop table job; --"):
        assert node.submit("echo", "x", queue="work", id=job_id) == job_id
        assert node.wait_done(job_id)["id"] == job_id
        assert node.cli_json("status", job_id)["id"] == job_id
    assert len(node.jobs()) == 6
    wait_until(node.healthy, "health")
