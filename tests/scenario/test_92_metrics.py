# SPDX-License-Identifier: MIT
"""GET /metrics: clean for those who read it, and true."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from skep import ROOT, Skep
from waiting import wait_until

EXAMPLES = ROOT / "examples"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
SUFFIXES = {"COUNTER": ("_total", "_created"), "HISTOGRAM": ("_bucket", "_count", "_sum", "_created"), "INFO": ("_info",)}
OF_A_BROKER = re.compile(r"skep_(broker|messages)_")

Samples = dict[tuple, float]


def table() -> dict[str, str]:
    """Name and type of every metric of metrics.def."""
    text = (ROOT / "lib/board/metrics.def").read_text()
    return dict(re.findall(r'^METRIC\(\w+, "(\w+)", (\w+)', text, re.M))


def scrape(node: Skep) -> str:
    answer = node.get("/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"] == OPEN, (answer.status, answer.body)
    return answer.body.decode()


def samples_of(text: str) -> Samples:
    """By name and labels, read by the reference parser, which refuses what is not as the standard has it."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, *sorted(labels.items())))


def total(samples: Samples, name: str, **labels: str) -> float:
    wanted = set(labels.items())
    return sum(number for key, number in samples.items() if key[0] == name and wanted <= set(key[1:]))


def wait_total(node: Skep, count: float, name: str, **labels: str) -> Samples:
    last: list[Samples] = []

    def there() -> bool:
        last[:] = [samples_of(scrape(node))]
        return total(last[0], name, **labels) == count

    wait_until(there, f"{name}{labels} to be {count}", 30)
    return last[0]


def wait_depths(node: Skep) -> Samples:
    """Until the courier, or the store, has looked at the queue."""
    return wait_total(node, 2, "skep_queue_consumers", queue="work")


def promtool(*words: str | os.PathLike, text: str | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run(["promtool", *map(str, words)], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def node(skep: Skep, chosen: Callable[[str], str]) -> Skep:
    skep.consume("work", chosen("classic"), workers=2)
    skep.set("queue work", handler="ok")
    skep.handler("ok", "cat >/dev/null")
    skep.handler("fails", "exit 1", retries=1, backoff="none")
    skep.handler("dead", "exit 65", dead_exits=65)
    skep.handler("waits", 'echo waits >>"$RUNS"; exec sleep 600')
    return skep.start()


# --- the text ---------------------------------------------------------------------------------------


def test_it_is_clean_and_has_every_metric(node: Skep, mode: str) -> None:
    for kind in ("ok", "fails", "dead"):
        node.wait_over(node.submit(kind))
    wait_depths(node)
    text = scrape(node)
    assert text.endswith("\n# EOF\n")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    expected = table()
    if mode == "embedded":
        expected = {name: kind for name, kind in expected.items() if not OF_A_BROKER.match(name)}
    assert {name: family.type.upper() for name, family in families.items()} == expected
    assert all(family.samples and family.documentation for family in families.values())

    plain = node.http("GET", "/metrics", headers={"Accept": "text/plain"})
    assert plain.headers["Content-Type"] == PLAIN
    said = promtool("check", "metrics", text=plain.body.decode())
    assert said.stdout + said.stderr == ""


def test_prometheus_own_parser_takes_it(node: Skep, tmp_path: Path) -> None:
    """promtool reads OpenMetrics where it imports them; it wants a time behind each sample."""
    node.wait_done(node.submit("ok"))
    now = str(int(time.time()))
    lines = [line if line.startswith("#") else f"{line} {now}" for line in scrape(node).splitlines()]
    (tmp_path / "metrics").write_text("\n".join(lines) + "\n")
    promtool("tsdb", "create-blocks-from", "openmetrics", tmp_path / "metrics", tmp_path / "tsdb")
    (tmp_path / "tsdb/wal").mkdir()
    said = promtool("tsdb", "dump", tmp_path / "tsdb").stdout
    assert len(said.splitlines()) == sum(not line.startswith("#") for line in lines)


def test_who_asks_in_vain(node: Skep) -> None:
    assert node.http("POST", "/metrics").status == 405
    assert node.get("/metrics", type="ok").status == 400


# --- counters ---------------------------------------------------------------------------------------


def test_counters_grow_by_exactly_the_jobs_run(node: Skep, mode: str) -> None:
    jobs = [{"type": "ok"}] * 40 + [{"type": "fails"}] * 5 + [{"type": "dead"}] * 3 + [{"queue": "work"}] * 2
    node.submit_many([dict(job, body="x", id=f"job-{i}") for i, job in enumerate(jobs)])
    node.submit_many([{"type": "ok", "body": "x", "id": "job-0"}])  # known already
    samples = wait_total(node, 50, "skep_jobs_ended_total")
    expected = {
        "ok": ({"done": 42}, {"done": 42}),
        "fails": ({"retry": 5, "dead": 5}, {"dead": 5}),
        "dead": ({"dead": 3}, {"dead": 3}),
    }
    for kind, (runs, ended) in expected.items():
        of = {"queue": "work", "type": kind}
        for outcome in ("done", "retry", "dead", "cancelled", "lost", "released", "duplicate"):
            assert value(samples, "skep_runs_ended_total", outcome=outcome, **of) == runs.get(outcome, 0)
        for state in ("done", "dead", "cancelled", "expired"):
            assert value(samples, "skep_jobs_ended_total", state=state, **of) == ended.get(state, 0)
        all_runs = sum(runs.values())
        assert value(samples, "skep_jobs_submitted_total", **of) == sum(ended.values())
        assert value(samples, "skep_runs_begun_total", **of) == all_runs
        assert value(samples, "skep_run_duration_seconds_count", **of) == all_runs
        assert value(samples, "skep_run_duration_seconds_bucket", le="+Inf", **of) == all_runs
        # all came through this node, so that each wait is known
        assert value(samples, "skep_job_wait_seconds_count", **of) == all_runs
    # nothing else was counted, and what the histograms say agrees with the database
    assert total(samples, "skep_runs_begun_total") == 55
    attempts = [attempt for job in node.all_jobs() for attempt in node.job(job["id"], queue="work")["attempts"]]
    assert sum(attempt["wall_ms"] for attempt in attempts) == round(
        1000 * total(samples, "skep_run_duration_seconds_sum")
    )
    assert total(samples, "skep_store_commit_duration_seconds_count") > 0
    assert total(samples, "skep_store_rows_total") > 100


def test_waits_are_as_long_as_jobs_waited(node: Skep, mode: str) -> None:
    """Held up by a pause; a delay is no wait."""
    if mode != "embedded":  # who has not begun to consume cannot be seen to have ended
        node.broker.wait_consumers("work", 2)
    assert node.post("/v1/queues/work/pause").status == 200
    wait_total(node, 1, "skep_queue_paused", queue="work")
    if mode != "embedded":  # what is delivered once more has no known wait
        wait_until(lambda: node.broker.passive("work")[1] == 0, "the end of consumption")
    begun = time.monotonic()
    job = node.submit("ok")
    wait_until(lambda: time.monotonic() - begun > 1.5, "a second and a half")
    assert node.post("/v1/queues/work/resume").status == 200
    node.wait_done(job)
    samples = wait_total(node, 1, "skep_job_wait_seconds_count", type="ok")
    assert 1.4 < total(samples, "skep_job_wait_seconds_sum") < time.monotonic() - begun
    node.wait_done(node.submit("ok", delay="2s"))
    samples = wait_total(node, 2, "skep_job_wait_seconds_count", type="ok")
    assert total(samples, "skep_job_wait_seconds_sum") < time.monotonic() - begun - 2


def test_strangers_have_bounded_labels_and_no_invented_wait(node: Skep) -> None:
    for i in range(300):
        node.broker.publish("work", type=f"unheard-{i}", message_id=f"u-{i}")
    node.broker.publish("work", type="ok", message_id="plain", timestamp=int(time.time()) - 1000)
    node.broker.publish("work", type="ok", message_id="stamped", headers={"timestamp_in_ms": int(time.time() * 1000) - 2000})
    samples = wait_total(node, 302, "skep_jobs_ended_total")
    assert total(samples, "skep_jobs_ended_total", queue="work", type="other", state="dead") == 300
    assert {dict(key[1:]).get("type") for key in samples} == {None, "ok", "other"}
    assert value(samples, "skep_runs_begun_total", queue="work", type="ok") == 2
    assert value(samples, "skep_job_wait_seconds_count", queue="work", type="ok") == 1
    assert 2 <= total(samples, "skep_job_wait_seconds_sum") < 60


def test_a_worker_that_dies_loses_no_count(node: Skep) -> None:
    for _ in range(10):
        node.wait_done(node.submit("ok"))
    job = node.submit("waits")
    name = wait_until(lambda: ((node.job(job) or {}).get("running") or {}).get("worker"), "the worker it runs in")
    samples = samples_of(scrape(node))
    assert (total(samples, "skep_workers_busy"), total(samples, "skep_runs_active", pool="work")) == (1, 1)
    node.kill_child(name)
    samples = wait_total(node, 1, "skep_runs_ended_total", outcome="lost")
    assert total(samples, "skep_runs_ended_total", outcome="done") == 10
    samples = wait_total(node, 2, "skep_workers", pool="work", state="ready")
    assert value(samples, "skep_process_restarts_total", role="worker") == 1
    node.post(f"/v1/jobs/{job}/cancel")
    wait_total(node, 1, "skep_jobs_ended_total", type="waits", state="cancelled")


def test_a_store_that_starts_counts_from_0(node: Skep, mode: str) -> None:
    for _ in range(3):
        node.wait_done(node.submit("ok"))
    before = wait_total(node, 3, "skep_jobs_ended_total", type="ok")
    node.kill_child("store")
    after = wait_total(node, 1, "skep_process_restarts_total", role="store")
    after = wait_total(node, 0, "skep_jobs_ended_total")
    of = {"queue": "work", "type": "ok"}
    created = [value(samples, "skep_run_duration_seconds_created", **of) for samples in (before, after)]
    assert created[1] > created[0]
    for _ in range(2):
        node.wait_done(node.submit("ok"))
    after = wait_total(node, 2, "skep_runs_ended_total")
    assert value(after, "skep_run_duration_seconds_count", **of) == 2


def test_processes_are_there(node: Skep) -> None:
    samples = samples_of(scrape(node))
    names = {"skepd", *node.children()}
    for name in ("skep_process_cpu_seconds_total", "skep_process_resident_memory_bytes", "skep_process_start_time_seconds"):
        assert {dict(key[1:])["process"] for key in samples if key[0] == name} == names
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{node.pid('store')}/status").read_text())[1]) * 1024
    assert value(samples, "skep_process_resident_memory_bytes", process="store") == pytest.approx(resident, rel=0.2)
    assert value(samples, "skep_process_start_time_seconds", process="store") == pytest.approx(time.time(), abs=60)
    assert value(samples, "skep_database_size_bytes", file="main") == (node.dir / "state/skep.db").stat().st_size


# --- what is made of them ---------------------------------------------------------------------------


def names_in(path: Path) -> set[str]:
    return set(re.findall(r"\bskep_[a-z_]+", path.read_text()))


def test_what_the_examples_ask_for_is_there(node: Skep) -> None:
    node.wait_done(node.submit("ok"))
    shown = {key[0] for key in wait_depths(node)}
    every = {name + suffix for name, kind in table().items() for suffix in SUFFIXES.get(kind, ("",))}
    dashboard, alerts = names_in(EXAMPLES / "grafana/skep.json"), names_in(EXAMPLES / "prometheus/alerts.yml")
    assert dashboard <= shown and alerts <= shown, (dashboard | alerts) - shown
    assert shown <= every
    # a dashboard leaves nothing out
    assert all(any(used.startswith(name) for used in dashboard) for name in table())


def test_the_dashboard_is_one(node: Skep) -> None:
    """Each expression is one to Prometheus: put into a rule, with Grafana's variables filled in."""
    panels = [p for p in json.loads((EXAMPLES / "grafana/skep.json").read_text())["panels"] if p["type"] != "row"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 15
    rules = []
    for panel in panels:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*").replace("$queue", ".*")
            rules.append({"record": f"r:{len(rules)}", "expr": expression})
    path = node.dir / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)


def test_the_rules_are_tested() -> None:
    directory = EXAMPLES / "prometheus"
    promtool("check", "config", directory / "prometheus.yml")
    promtool("check", "rules", directory / "alerts.yml")
    promtool("test", "rules", directory / "alerts_test.yml")
    tested = set(re.findall(r"alertname: (\w+)", (directory / "alerts_test.yml").read_text()))
    assert tested == set(re.findall(r"alert: (\w+)", (directory / "alerts.yml").read_text()))


@pytest.fixture
def bridge(node: Skep) -> Iterator[str]:
    """HOST:PORT of examples/prometheus/bridge.py before the node."""
    command = [sys.executable, EXAMPLES / "prometheus/bridge.py", "--socket", node.socket, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split("/")[2]
        process.terminate()


@pytest.fixture
def prometheus(node: Skep, bridge: str, tmp_path: Path) -> Iterator[Callable[[str], dict]]:
    """A real one with the example's configuration; called with a path of its API."""
    text = (EXAMPLES / "prometheus/prometheus.yml").read_text()
    text = text.replace("localhost:9808", bridge).replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(text.replace("alerts.yml", str(EXAMPLES / "prometheus/alerts.yml")))
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with open(tmp_path / "log", "wb") as log, subprocess.Popen(
        [*command, "--web.listen-address=127.0.0.1:0", "--log.level=debug"], stdout=log, stderr=log
    ) as process:
        try:
            port = listening_port(process.pid)

            def ask(path: str) -> dict:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=10) as answer:
                    return json.load(answer)["data"]

            yield ask
        finally:
            process.terminate()


def listening_port(pid: int) -> int:
    """The TCP port on which that process listens, whichever it was given."""

    def look() -> int | None:
        inodes = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                return int(words[1].split(":")[1], 16)
        return None

    return wait_until(look, "Prometheus to listen", 30)


def test_prometheus_scrapes_it(node: Skep, bridge: str, prometheus: Callable[[str], dict]) -> None:
    for _ in range(4):
        node.wait_done(node.submit("ok"))
    query = "query?query=sum(skep_jobs_ended_total)"

    def seen() -> bool:
        result = prometheus(query)["result"]
        return bool(result) and result[0]["value"][1] == "4"

    wait_until(seen, "Prometheus to have seen four jobs", 30)
    target = prometheus("targets")["activeTargets"][0]
    assert target["health"] == "up" and target["lastError"] == "", target
    rules = [rule for group in prometheus("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 10 and all(rule["health"] in ("ok", "unknown") for rule in rules), rules
    assert not [alert for alert in prometheus("alerts")["alerts"] if alert["state"] == "firing"]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{bridge}/v1/jobs", timeout=10)
