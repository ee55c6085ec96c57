# SPDX-License-Identifier: MIT
"""skepd before it runs: its options, its configuration file, and what it says about mistakes."""

import re
import subprocess
from pathlib import Path

import pytest

from skep import Skep


def skepd(skep: Skep, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(skep.build / "skepd"), *words],
        env=skep.full_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_version_is_told_by_both_programs(skep: Skep) -> None:
    told = skepd(skep, "--version")
    assert told.returncode == 0 and "skep" in told.stdout and "0." in told.stdout
    skep.write_config()
    assert skep.cli_text("--version").split()[-1] in told.stdout


def test_check_accepts_a_good_file(skep: Skep) -> None:
    skep.consume()
    skep.handler("echo", "cat")
    told = skepd(skep, "--check", "-c", str(skep.write_config()))
    assert told.returncode == 0, told.stderr


def test_the_configurations_of_the_readme_are_good(skep: Skep) -> None:
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    blocks = re.findall(r"^```ini\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert blocks
    for text in blocks:
        shown = skep.dir / "readme.conf"
        shown.write_text(text)
        told = skepd(skep, "--check", "-c", str(shown))
        assert told.returncode == 0, told.stderr
        assert "#" not in skepd(skep, "--dump-config", "-c", str(shown)).stdout


@pytest.mark.parametrize(
    "section, option, value, named",
    [
        ("daemon", "stop_timout", "5s", "stop_timout"),
        ("handler echo", "timeout", "5 bananas", "timeout"),
        ("handler echo", "max_result", "64Q", "max_result"),
        ("handler echo", "backoff", "linear 5s", "backoff"),
        ("handler echo", "dead_exits", "300", "dead_exits"),
        ("pool work", "workers", "many", "workers"),
        ("pool work", "workers", "99999", "workers"),
        ("pool work", "prefetch", "0", "prefetch"),
        ("queue work", "type", "stream", "type"),
        ("broker", "url", "http://example.org/", "url"),
        ("broker", "topology", "maybe", "topology"),
        ("queue work", "handler", "nobody", "nobody"),
        ("handler empty", "timeout", "5s", "command"),
        ("poool work", "workers", "1", "poool"),
    ],
)
def test_a_mistake_is_refused_and_named(skep: Skep, section: str, option: str, value: str, named: str) -> None:
    skep.consume()
    skep.handler("echo", "cat")
    skep.set(section, **{option: value})
    config = str(skep.write_config())
    for words in (("--check", "-c", config), ("-c", config)):
        told = skepd(skep, *words)
        assert told.returncode not in (0, None) and told.returncode > 0, told
        assert named in told.stderr and "skep.conf" in told.stderr, told.stderr
        assert "Traceback" not in told.stderr and told.returncode < 128


def test_a_missing_file_and_a_wrong_option_are_refused(skep: Skep) -> None:
    assert "nothing.conf" in skepd(skep, "--check", "-c", "/nonexistent/nothing.conf").stderr
    assert skepd(skep, "--check", "-c", "/nonexistent/nothing.conf").returncode > 0
    told = skepd(skep, "--bananas")
    assert told.returncode > 0 and "bananas" in told.stderr


def test_dump_shows_every_option_with_its_origin_and_no_secret(skep: Skep) -> None:
    skep.consume()
    skep.handler("echo", "cat", timeout="90s")
    skep.set("broker", url="amqp://guest:opensesame@127.0.0.1:5672/")
    told = skepd(skep, "--dump-config", "-c", str(skep.write_config()))
    assert told.returncode == 0, told.stderr
    lines = {line.split("=")[0].strip(): line for line in told.stdout.splitlines() if "=" in line}
    assert "skep.conf" in lines["timeout"] and "default" in lines["kill_after"], told.stdout
    for option in ("stop_timeout", "heartbeat", "keep_done", "prefetch", "dedupe", "retries", "min_free"):
        assert option in lines, option
    assert "opensesame" not in told.stdout and "***" in told.stdout


def test_files_of_conf_d_come_later_and_win(skep: Skep) -> None:
    skep.consume()
    skep.handler("echo", "cat", timeout="90s")
    config = skep.write_config()
    (skep.dir / "conf.d").mkdir()
    (skep.dir / "conf.d" / "10-more.conf").write_text("[handler echo]\ntimeout = 33s\n")
    (skep.dir / "conf.d" / "20-more.conf").write_text("[handler other]\ncommand = /bin/true\n")
    told = skepd(skep, "--dump-config", "-c", str(config))
    assert told.returncode == 0, told.stderr
    assert "33s" in told.stdout and "90s" not in told.stdout and "10-more.conf" in told.stdout
    assert "[handler other]" in told.stdout


def test_the_dump_is_a_configuration_again(skep: Skep) -> None:
    skep.consume()
    skep.handler("echo", "cat", dead_exits="3 4", backoff="exponential 2s..1m", env="A='b c' D=e")
    first = skepd(skep, "--dump-config", "-c", str(skep.write_config())).stdout
    again = skep.dir / "again.conf"
    again.write_text(first)
    second = skepd(skep, "--dump-config", "-c", str(again))
    assert second.returncode == 0, second.stderr
    values = [[line.split(" ;")[0].rstrip() for line in text.splitlines()] for text in (first, second.stdout)]
    assert [line for line in values[0] if "=" in line] == [line for line in values[1] if "=" in line]


def test_two_nodes_do_not_share_a_state_directory(skep: Skep, make_skep, broker) -> None:
    skep.consume()
    skep.handler("echo", "cat")
    skep.start()
    told = skepd(skep, "-c", str(skep.config_path))
    assert told.returncode > 0
    assert skep.healthy()
