# SPDX-License-Identifier: MIT
"""skep top in a real terminal: what it shows, what its keys do, and that it survives sizes and a node that goes."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skep import Skep
from terminal import Terminal
from waiting import wait_until

# Runs until it is let go; what it says of itself would retitle the terminal and clear it.
HOLD = """printf '42 half \\033]0;owned\\007\\033[2Jway\\n' >&3
while [ ! -e "$DIR/go" ]; do sleep 0.02; done"""


@pytest.fixture
def mode() -> str:
    return "embedded"


@pytest.fixture
def terminal(node_dir: Path) -> Iterator[Terminal]:
    made = Terminal(node_dir)
    yield made
    made.close()


@pytest.fixture
def node(skep: Skep, mode: str) -> Iterator[Skep]:
    skep.queue("work")
    skep.queue("other")
    skep.pool("work", queues="work", workers="1..4", scale_hold="1h")
    skep.pool("spare", queues="other", workers=2)
    skep.handler("hold", HOLD)
    skep.handler("quick", "echo ok")
    skep.handler("bad", "exit 3", retries=0)
    yield skep.start()
    (skep.dir / "go").touch()


@pytest.fixture
def top(node: Skep, terminal: Terminal) -> Callable[..., Terminal]:
    def start(*options: str, **environment: str) -> Terminal:
        command = (node.build / "skep", "-c", node.config_path, "top", "--interval", "0.2", *options)
        terminal.run(*command, **environment)
        return terminal

    return start


def settings(terminal: Terminal, when: str) -> str:
    path = terminal.dir / f"stty.{when}"
    return wait_until(lambda: path.exists() and path.read_text(), f"the settings {when}")


def test_it_shows_pools_queues_workers_and_changes(node: Skep, top: Callable[..., Terminal]) -> None:
    job = node.submit("hold", queue="work")
    node.wait_state(job, "running")
    screen = top()
    screen.wait("skep top", "ok", "POOLS 2", "QUEUES 2", "WORKERS", "CHANGES", job, "42%")
    assert "1..4" in screen.line("work "), screen.text()
    wait_until(lambda: screen.line("spare ").endswith("the number is given"), "a reason")
    worker = next(w for p in node.cli_json("pools") for w in p["workers"] if w["runs"])
    row = screen.line(worker["name"])
    assert str(worker["pid"]) in row and "busy" in row and "hold" in row, row
    assert re.search(r"\d+(\.\d)? m?s ", row), row
    # The time goes on without a key.
    wait_until(lambda: screen.line(worker["name"]) not in ("", row), "the time to go on")


def test_a_job_cannot_command_the_terminal(node: Skep, top: Callable[..., Terminal]) -> None:
    node.submit("hold", queue="work")
    screen = top()
    assert "42% half \ufffd]0;owned\ufffd\ufffd[2Jway" in screen.wait("42%")
    assert screen.about("pane_title") != "owned"


def test_rates_are_those_of_the_queue(node: Skep, top: Callable[..., Terminal]) -> None:
    screen = top()
    screen.wait("0.0 done/s", "0.0 failed/s")
    node.submit_many([{"type": "quick", "queue": "other"} for _ in range(40)])
    node.submit_many([{"type": "bad", "queue": "other"} for _ in range(20)])
    wait_until(lambda: re.search(r" (?!0\.0)[\d.]+ done/s  (?!0\.0)[\d.]+ failed/s", screen.text()), "rates above 0")
    row = wait_until(lambda: [q for q in node.get("/v1/queues").json() if q["done"] == 40 and q["failed"] == 20], "them")
    assert row[0]["name"] == "other"


def test_sorting(node: Skep, top: Callable[..., Terminal]) -> None:
    first = node.submit("hold", queue="work", id="first-of-all")
    node.wait_state(first, "running")
    second = node.submit("hold", queue="other", id="second-of-all")
    node.wait_state(second, "running")
    screen = top()
    screen.wait(first, second)
    screen.keys("Tab", "Tab", "s")
    screen.wait("by name")
    text = screen.wait(first, second)
    assert text.index("spare/1") < text.index("work/1 ")
    screen.keys("s")
    screen.wait("by time")
    wait_until(lambda: (t := screen.text()).index(first) < t.index(second), "the longest first")
    screen.keys("r")
    screen.wait("by time reversed")
    wait_until(lambda: (t := screen.text()).index(second) < t.index(first), "the longest last")


def test_pause_and_resume(node: Skep, top: Callable[..., Terminal]) -> None:
    screen = top()
    screen.wait("QUEUES 2")
    screen.keys("Tab", "Down", "p")
    screen.wait("queue other is paused")
    assert [q["paused"] for q in node.get("/v1/queues").json()] == [False, True]
    wait_until(lambda: "paused" in screen.line("other "), "the queue's row to say so")
    screen.keys("p")
    screen.wait("queue other is active")
    assert [q["paused"] for q in node.get("/v1/queues").json()] == [False, False]


def test_scaling(node: Skep, top: Callable[..., Terminal]) -> None:
    screen = top()
    screen.wait("POOLS 2")
    screen.keys("w")
    screen.wait("workers of pool work (8, 2..16, auto):")
    screen.type("30")
    screen.keys("BSpace", "Enter")
    screen.wait("pool work: 3 workers", "3*")
    wait_until(lambda: node.cli_json("pools")[0]["alive"] == 3, "three workers")
    screen.wait("work/3")
    for text, shown in (("many", "neither a whole number nor a range"), ("2..3", "2..3*"), ("auto", "1..4")):
        screen.keys("w")
        screen.wait("workers of pool work")
        screen.type(text)
        screen.keys("Enter")
        screen.wait(shown)
    wait_until(lambda: "1..4 " in screen.line("work "), "what is configured")
    screen.keys("w")
    screen.type("4")
    screen.wait("auto): 4")
    screen.keys("Escape")
    screen.wait_gone("workers of pool")
    assert node.cli_json("pools")[0]["asked"] is False


def test_looking_at_jobs_and_reasons(node: Skep, top: Callable[..., Terminal]) -> None:
    done = node.submit("bad", queue="other")
    node.wait_state(done, "dead")
    job = node.submit("hold", queue="other")
    node.wait_state(job, "running")
    screen = top()
    screen.wait(job)
    lines = screen.text().splitlines()
    heading = next(n for n, line in enumerate(lines) if "WORKERS" in line)
    row = next(n for n, line in enumerate(lines) if job in line)
    screen.keys("Tab", "Tab", "Home", *["Down"] * (row - heading - 1), "Enter")
    screen.wait(f"job {job}", "state     running", "running   on spare/")
    (node.dir / "go").touch()
    screen.wait("state     done", "OUTCOME")  # a text is kept up to date too
    screen.keys("q")
    screen.wait("POOLS 2")
    screen.keys("i")
    screen.type(done)
    screen.keys("Enter")
    screen.wait("state     dead", "exit 3")
    screen.keys("Escape", "i")
    screen.type("nobody")
    screen.keys("Enter")
    screen.wait("no such job", "POOLS 2")
    screen.keys("BTab", "BTab", "Enter")
    screen.wait("pool work", "workers wanted, of 1..4 by target_wait")
    screen.keys("q", "h")
    screen.wait("pause the queue that is marked")
    screen.keys("q")
    screen.wait("POOLS 2")


def test_it_bears_every_size(node: Skep, top: Callable[..., Terminal]) -> None:
    job = node.submit("hold", queue="work")
    screen = top()
    screen.wait(job, "CHANGES")
    for columns, lines in ((20, 5), (10, 2), (1, 1), (20, 5)):
        screen.resize(columns, lines)
        wait_until(lambda c=columns: all(len(x) <= c for x in screen.text().splitlines()), "the size")
        screen.keys("Tab", "Down", "BTab")
    screen.wait("skep top", "POO", "q quit")
    screen.keys("h")
    screen.wait("Tab, Shift")
    screen.resize(110, 35)
    screen.wait("pause the queue that is marked")
    screen.keys("q")
    screen.wait("POOLS 2", "QUEUES 2", "CHANGES", job, "look, i job by id")


def test_more_rows_than_fit(node: Skep, top: Callable[..., Terminal]) -> None:
    node.cli("scale", "spare", "12")
    wait_until(lambda: node.cli_json("pools")[1]["alive"] == 12, "twelve workers")
    screen = top()
    screen.resize(80, 10)
    screen.wait("POOLS")
    screen.keys("Tab", "Tab", "End")
    screen.wait(" of 13", "> spare/12")
    screen.keys("Home")
    screen.wait("> work/1")


def test_it_says_when_the_node_is_away_and_goes_on_when_it_is_back(node: Skep, top: Callable[..., Terminal]) -> None:
    screen = top()
    screen.wait("ok", "POOLS 2")
    node.stop()
    screen.wait("skepd does not answer for", "nothing answers on", "away", "POOLS 2")
    screen.keys("p")
    screen.wait("nothing answers")
    screen.keys("h")
    screen.wait("keys", "skepd does not answer")
    screen.keys("q")
    node.start()
    screen.wait_gone("does not answer")
    screen.wait(" ok ", "POOLS 2")
    job = node.submit("hold", queue="work")
    screen.wait(job)


def test_a_node_that_hangs_does_not_hang_it(node: Skep, top: Callable[..., Terminal]) -> None:
    screen = top()
    screen.wait("ok", "POOLS 2")
    gateway = node.pid("gateway")
    os.kill(gateway, signal.SIGSTOP)
    try:
        screen.keys("h")
        screen.wait("pause the queue that is marked", seconds=2)
        screen.wait("skepd does not answer for", "in time")
    finally:
        os.kill(gateway, signal.SIGCONT)
    screen.wait_gone("does not answer")


@pytest.mark.parametrize("how", ["q", "SIGTERM"])
def test_the_terminal_is_given_back(node: Skep, top: Callable[..., Terminal], how: str) -> None:
    screen = top()
    screen.wait("POOLS 2")
    assert screen.about("alternate_on") == "1"
    if how == "q":
        screen.keys("q")
    else:
        shell = screen.about("pane_pid")
        child = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        os.kill(int(child[0]), signal.SIGTERM)
    screen.wait("left 0" if how == "q" else "left ")
    assert "POOLS" not in screen.text()
    assert settings(screen, "after") == settings(screen, "before")
    assert (screen.about("alternate_on"), screen.about("cursor_flag")) == ("0", "1")


@pytest.mark.parametrize(("environment", "options", "colors"), [
    ({}, (), True),
    ({"NO_COLOR": "1"}, (), False),
    ({}, ("--no-color",), False),
    ({"TERM": "vt100"}, (), False),
])  # fmt: skip
def test_colours(
    node: Skep, top: Callable[..., Terminal], environment: dict[str, str], options: tuple[str, ...], colors: bool
) -> None:
    node.submit("hold", queue="work")
    screen = top(*options, **environment)
    screen.wait("busy", " ok ")
    assert bool(re.search(r"\x1b\[[\d;]*3[1-7]m", screen.text("-e"))) is colors


@pytest.mark.parametrize("kind", ["dumb", "no-such-terminal"])
def test_a_terminal_that_cannot_show_it(top: Callable[..., Terminal], kind: str) -> None:
    screen = top(TERM=kind)
    screen.wait(f"a terminal of type '{kind}' cannot show it; see 'skep pools'", "left 64")
    assert settings(screen, "after") == settings(screen, "before")


def test_it_needs_a_terminal_and_a_node(node: Skep, terminal: Terminal) -> None:
    for words in (("top",), ("--json", "top")):
        told = node.cli(*words, check=False)
        assert told.returncode == 64 and told.stdout == b"", told
        assert b"needs a terminal" in told.stderr and b"skep pools" in told.stderr
    assert node.cli("top", "--interval", "0", check=False).returncode == 64
    terminal.run(node.build / "skep", "--socket", "/nonexistent/socket", "top")
    terminal.wait("nothing answers on", "left 69")


def test_pools_tell_range_and_reason(node: Skep) -> None:
    node.cli("scale", "spare", "3")
    wait_until(lambda: "3*" in node.cli_text("pools"), "the pool to be scaled")
    head, first, second = node.cli_text("pools").splitlines()[:3]
    assert head.split() == "POOL WANTED ALIVE CONNECTED BUSY DONE FAILED RANGE QUEUES WHY".split()
    assert " 1..4 " in first, first
    assert " 3* " in second and second.endswith("the number is given"), second
