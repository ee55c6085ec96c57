# SPDX-License-Identifier: MIT
"""skep-sim: that the rule keeps what it promises in each traffic, and what a user gives it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skep import BUILD, ROOT, Skep

TRAFFICS = ("steady", "burst", "ramp", "wave", "tail", "slow", "start")
DEMO = str(ROOT / "bench" / "traces" / "demo.csv")
OTHERS = ("celery", "horizon", "uwsgi", "keda")


def sim(*options: object, **more) -> subprocess.CompletedProcess:
    command = [BUILD / "bin" / "skep-sim", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **more)


@pytest.mark.parametrize("options", [*(("--traffic", name) for name in TRAFFICS), ("--trace", DEMO)], ids=lambda o: o[1])
def test_the_rule_keeps_its_promises(options: tuple[str, str]) -> None:
    """Judged here once more from the figures, not by the program's own word."""
    told = sim(*options, "--json", "--check")
    assert (told.returncode, told.stderr) == (0, "")
    (found,) = json.loads(told.stdout)
    rules, target = found["rules"], found["target_s"]
    skep, oracle = rules["skep"], rules["oracle"]
    assert oracle["p99_s"] <= target and found["possible"]
    assert skep["p99_s"] <= target
    assert skep["worker_s"] <= 1.3 * oracle["worker_s"]
    for name in OTHERS:
        assert skep["worker_s"] < rules[name]["worker_s"], name


def test_a_promise_that_cannot_be_kept_is_missed() -> None:
    """Two workers cannot bear the bursts; other rules may be cheaper or sooner then, and the check says so."""
    told = sim("--traffic", "burst", "--max", "2", "--check")
    assert told.returncode == 1
    assert "MISSED" in told.stdout and "the oracle cannot hold the target here either" in told.stdout


def test_the_table_has_all_rules() -> None:
    told = sim("--traffic", "burst")
    assert told.returncode == 0
    words = [line.split()[0] for line in told.stdout.splitlines() if line.strip()]
    assert words[1:9] == ["rule", "skep", "oracle", "clairvoyant", *OTHERS]


def test_a_recorded_trace(skep: Skep, tmp_path: Path) -> None:
    skep.consume("work", "embedded", workers=2)
    skep.handler("nap", "sleep 0.05")
    skep.start()
    ids = skep.submit_many([{"type": "nap", "queue": "work"} for _ in range(20)])
    for job in ids:
        skep.wait_done(job)
    recorded = tmp_path / "trace.csv"
    script = [sys.executable, ROOT / "examples" / "python" / "trace.py", "work"]
    with recorded.open("w") as out:
        subprocess.run(script, env={**os.environ, "SKEP_SOCKET": str(skep.socket)}, stdout=out, check=True)
    assert len(recorded.read_text().splitlines()) == 21
    (found,) = json.loads(sim("--trace", recorded, "--json", "--target", "1").stdout)
    assert (found["jobs"], found["target_s"]) == (20, 1)
    assert found["rules"]["skep"]["worker_s"] >= 20 * 0.05


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        (("--traffic", "none"), 64, "there is no traffic 'none'"),
        (("--traffic", "burst", "--trace", "x"), 64, "exclude each other"),
        (("--plot", "x.svg"), 64, "--plot needs --traffic or --trace"),
        (("--min", "5", "--max", "4"), 64, "--min is above --max"),
        (("--target", "soon"), 64, "'soon' is not a number"),
        (("--max", "1000"), 64, "'1000' is not a number in the range"),
        (("more",), 64, "it takes options only"),
        (("--unheard",), 64, "unrecognized option"),
        (("--trace", "/nonexistent/trace"), 66, "No such file or directory"),
    ],
)
def test_what_cannot_be_is_refused(options: tuple[str, ...], status: int, text: str) -> None:
    told = sim(*options)
    assert told.returncode == status
    assert text in told.stderr
    assert told.stdout == ""


def test_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "it's.svg"
    told = sim("--traffic", "burst", "--plot", picture)
    assert (told.returncode, told.stderr) == (0, "")
    drawn = picture.read_text()
    assert drawn.startswith("<?xml") and drawn.rstrip().endswith("</svg>")
    for title in ("arrivals a second", "backlog", "workers", "wait, s"):
        assert title in drawn
    told = sim("--traffic", "burst", "--plot", tmp_path / "none" / "x.svg")
    assert told.returncode == 73
    assert "no picture in" in told.stderr


def test_without_gnuplot_it_says_so(tmp_path: Path) -> None:
    told = sim("--traffic", "burst", "--plot", tmp_path / "x.svg", env={"PATH": str(tmp_path)})
    assert told.returncode == 73
    assert "is gnuplot-nox installed?" in told.stderr
