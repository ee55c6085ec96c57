# SPDX-License-Identifier: MIT
"""One skep node in a directory of its own: configuration, start, stop, REST, command line, processes."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from broker import Broker
from embedded import Embedded
from rabbitmq import is_alive
from waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SKEP_TEST_BUILD", ROOT / "build"))
OVER = ("done", "dead", "cancelled", "expired")
COUNTED = ("done", "retry", "dead", "cancelled")  # outcomes that are attempts


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("skep", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Process:
    """A child of the supervisor."""

    pid: int
    program: str
    name: str
    parent: int


@dataclass
class Skep:
    """Handlers append a line to `runs` when they start: what really ran, whatever the database says."""

    dir: Path
    broker: Broker | Embedded
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    build: Path = BUILD / "bin"
    environment: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)  # setpriv and the like

    def __post_init__(self) -> None:
        self.process: subprocess.Popen | None = None
        self.log_path = self.dir / "log"
        self.config_path = self.dir / "skep.conf"
        self.runs_path = self.dir / "runs"
        self.tmp = self.dir / "tmp"
        for path in (self.tmp, self.dir / "state", self.dir / "run"):
            path.mkdir(exist_ok=True)
        self.runs_path.touch()
        self.socket = str(self.dir / "run" / "skep.sock")
        if isinstance(self.broker, Embedded):
            self.broker.attach(self)

    # --- configuration -------------------------------------------------------------------------

    def handler(self, name: str, script: str | None = None, **options: Any) -> None:
        """A handler; `script` is shell, run with RUNS as the file that it may append to."""
        if script is not None:
            options["command"] = self.script(name, script)
        options.setdefault("env", f"RUNS={self.runs_path} DIR={self.dir}")
        self.sections[f"handler {name}"] = options

    def script(self, name: str, text: str) -> Path:
        path = self.dir / f"{name}.sh"
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def queue(self, name: str, **options: Any) -> None:
        self.sections[f"queue {name}"] = options

    def pool(self, name: str, **options: Any) -> None:
        self.sections[f"pool {name}"] = options

    def set(self, section: str, **options: Any) -> None:
        self.sections.setdefault(section, {}).update(options)

    def consume(self, queue: str = "work", mode: str = "classic", workers: int = 1, **pool: Any) -> None:
        """A queue in that mode, and a pool that consumes it."""
        self.queue(queue, **type_of(mode))
        self.pool(queue, queues=queue, workers=workers, **pool)

    def write_config(self) -> Path:
        sections: dict[str, dict[str, Any]] = {
            "daemon": {"state_dir": self.dir / "state", "runtime_dir": self.dir / "run", "stop_timeout": "10s"},
            "broker": {"url": self.broker.url(), "reconnect_max": "1s"},
        }
        for name, options in self.sections.items():
            sections[name] = sections.get(name, {}) | options
        lines: list[str] = []
        for name, options in sections.items():
            lines += [f"[{name}]", *(f"{key} = {value}" for key, value in options.items()), ""]
        self.config_path.write_text("\n".join(lines))
        return self.config_path

    # --- life ----------------------------------------------------------------------------------

    def start(self, wait: bool = True) -> "Skep":
        self.write_config()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                # killed when the tests are, however they end
                [*self.prefix, "setpriv", "--pdeathsig", "KILL", str(self.build / "skepd"), "-c", str(self.config_path)],
                env=self.full_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()
        return self

    def full_environment(self) -> dict[str, str]:
        """TMPDIR, which handlers inherit, marks every process that comes from this node."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "HOME", "USER", "LOGNAME")}
        return kept | {"TMPDIR": str(self.tmp)} | self.environment

    def healthy(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self.http("GET", "/healthz", timeout=5).status == 200
        return False

    def wait_ready(self, seconds: float = 20) -> None:
        def ready() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"skepd ended with {self.process.returncode}:\n{self.log()}")
            return self.healthy()

        wait_until(ready, "a healthy node", seconds)

    def wait_consuming(self, queue: str, workers: int = 1) -> None:
        self.broker.wait_consumers(queue, workers)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_exit(self, seconds: float = 40) -> int:
        return self.process.wait(seconds)

    def stop(self, seconds: float = 40) -> int:
        """SIGTERM, exit code; nothing of the node may be left."""
        self.signal(signal.SIGTERM)
        code = self.wait_exit(seconds)
        self.assert_nothing_left()
        return code

    def kill(self) -> None:
        """kill -9 of the supervisor; the rest follows by itself."""
        self.process.kill()
        self.process.wait()
        self.assert_nothing_left()

    def clean_up(self) -> None:
        """For teardown: stops what the test left running, and insists that nothing survives it."""
        if self.process is None:
            return
        try:
            if self.process.poll() is None:
                for pid in self.all_pids():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
                self.signal(signal.SIGTERM)
                try:
                    self.wait_exit()
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
                    raise AssertionError("skepd did not stop within 40 s of SIGTERM") from None
            self.assert_nothing_left()
        finally:
            for pid in self.all_pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    # --- processes -----------------------------------------------------------------------------

    def all_pids(self) -> list[int]:
        """Everything that comes from this node, whoever its parent is now."""
        marker = f"TMPDIR={self.tmp}\0".encode()
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                with suppress(OSError):
                    if marker in Path(f"/proc/{entry}/environ").read_bytes() and is_alive(int(entry)):
                        found.append(int(entry))
        return found

    def assert_nothing_left(self, seconds: float = 5) -> None:
        def commands() -> list[str]:
            listed = []
            for pid in self.all_pids():
                with suppress(OSError):
                    listed.append(f"{pid} " + Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
            return listed

        left: list[str] = []

        def none() -> bool:
            left[:] = commands()
            return not left

        try:
            wait_until(none, "the end of every process of the node", seconds)
        except AssertionError:
            raise AssertionError("left running: " + "; ".join(left)) from None

    def children(self) -> dict[str, Process]:
        """By the names that the supervisor gives them: store, courier, gateway, POOL/1..."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with suppress(OSError, IndexError, ValueError):
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and is_alive(int(entry)):
                    words = Path(f"/proc/{entry}/cmdline").read_text().split("\0")
                    program = os.path.basename(words[0])
                    if program.startswith("skep-"):
                        found[words[1]] = Process(int(entry), program, words[1], parent)
        return found

    def pid(self, name: str, seconds: float = 10) -> int:
        return wait_until(lambda: self.children().get(name), f"a child named {name}", seconds).pid

    def workers(self) -> list[int]:
        return [p.pid for p in self.children().values() if p.program == "skep-worker"]

    def kill_child(self, name: str) -> None:
        os.kill(self.pid(name), signal.SIGKILL)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, text: str, seconds: float = 20) -> None:
        wait_until(lambda: text in self.log(), f"'{text}' in the log", seconds)

    # --- REST ----------------------------------------------------------------------------------

    def http(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30,
    ) -> Answer:
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def post(self, path: str, value: Any = None) -> Answer:
        body = None if value is None else json.dumps(value)
        return self.http("POST", path, body, {"Content-Type": "application/json"})

    def submit(self, job_type: str | None = None, body: Any = "", **members: Any) -> str:
        """Through REST; the id."""
        job = {"body": body} | members
        if job_type is not None:
            job["type"] = job_type
        answer = self.post("/v1/jobs", job)
        assert answer.status in (200, 201), (answer.status, answer.body)
        return answer.json()["id"]

    def submit_many(self, jobs: list[dict[str, Any]]) -> list[str]:
        """One request, a job a line."""
        lines = "".join(json.dumps(job) + "\n" for job in jobs)
        answer = self.http("POST", "/v1/jobs", lines, {"Content-Type": "application/x-ndjson"}, timeout=120)
        assert answer.status == 200, (answer.status, answer.body)
        rows = [json.loads(line) for line in answer.body.splitlines()]
        assert all("id" in row for row in rows), [row for row in rows if "id" not in row]
        return [row["id"] for row in rows]

    def get(self, path: str, timeout: float = 30, **query: Any) -> Answer:
        return self.http("GET", path + ("?" + urlencode(query) if query else ""), timeout=timeout)

    def job_answer(self, job_id: str, tail: str = "", **query: Any) -> Answer:
        return self.get(f"/v1/jobs/{quote(job_id, safe='')}{tail}", **query)

    def job(self, job_id: str, **query: Any) -> dict[str, Any] | None:
        """None while the node does not know it."""
        answer = self.job_answer(job_id, **query)
        if answer.status == 404:
            return None
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()

    def jobs(self, **query: Any) -> list[dict[str, Any]]:
        return self.get("/v1/jobs", **query).json()

    def all_jobs(self) -> list[dict[str, Any]]:
        """Every job of the node, page by page."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        before: dict[str, Any] = {}
        while page := self.jobs(limit=1000, **before):
            fresh = [job for job in page if (job["queue"], job["id"]) not in found]
            if not fresh:
                break
            found |= {(job["queue"], job["id"]): job for job in fresh}
            before = {"before": page[-1]["seq"]}
        return list(found.values())

    def wait_state(self, job_id: str, *states: str, seconds: float = 20) -> dict[str, Any]:
        last: dict[str, Any] = {}

        def there() -> bool:
            with suppress(OSError, http.client.HTTPException):
                last.clear()
                last.update(self.job(job_id) or {})
            return last.get("state") in states

        try:
            wait_until(there, "", seconds)
        except AssertionError:
            raise AssertionError(f"job {job_id} not {' or '.join(states)} within {seconds} s: {last}") from None
        return dict(last)

    def wait_done(self, job_id: str, seconds: float = 20) -> dict[str, Any]:
        job = self.wait_state(job_id, *OVER, seconds=seconds)
        assert job["state"] == "done", job
        return job

    def wait_over(self, job_id: str, seconds: float = 20) -> dict[str, Any]:
        return self.wait_state(job_id, *OVER, seconds=seconds)

    def result(self, job_id: str) -> bytes:
        answer = self.job_answer(job_id, "/result")
        assert answer.status == 200, (answer.status, answer.body)
        return answer.body

    def logs(self, job_id: str, **query: Any) -> str:
        return self.job_answer(job_id, "/logs", **query).body.decode()

    # --- the command line ----------------------------------------------------------------------

    def cli(
        self, *words: str | os.PathLike, input: bytes | str | None = None, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess:
        data = input.encode() if isinstance(input, str) else input
        feed: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run(
            [*self.prefix, str(self.build / "skep"), "-c", str(self.config_path), *map(str, words)],
            env=self.full_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=timeout,
            **feed,
        )
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    def cli_text(self, *words: str | os.PathLike, **options: Any) -> str:
        return self.cli(*words, **options).stdout.decode()

    def cli_json(self, *words: str | os.PathLike, **options: Any) -> Any:
        return json.loads(self.cli("--json", *words, **options).stdout)

    # --- what really ran -----------------------------------------------------------------------

    def runs(self, job_id: str | None = None) -> list[list[str]]:
        """The lines that handlers appended, as words; the first word is the job's id."""
        lines = [line.split() for line in self.runs_path.read_text().splitlines()]
        return [words for words in lines if words and (job_id is None or words[0] == job_id)]

    def show(self) -> None:
        """For a test that failed."""
        print(f"--- configuration of {self.dir}\n{self.config_path.read_text()}", file=sys.stderr)
        print(f"--- log\n{self.log()[-20000:]}", file=sys.stderr)


def type_of(mode: str) -> dict[str, str]:
    """The options of a queue in that mode: only a broker has types of queues."""
    return {} if mode == "embedded" else {"type": mode}


def outcomes(job: dict[str, Any]) -> list[str]:
    return [run["outcome"] for run in job["attempts"]]
