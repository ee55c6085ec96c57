#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws docs/speed.svg from bench/results/throughput.json: jobs/s and CPU per job, both of one worker at the prefetch
that all of the rows have in common. gnuplot draws; the numbers are the medians of the JSON and nothing else.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results" / "throughput.json"
PICTURE = ROOT / "docs" / "speed.svg"
BARS = (("", "bare consumer"), ("c", "skep, service in C"), ("python", "skep, service in Python"))
OWN = "own_cpu_us_per_job"

SCRIPT = """
set terminal svg size 900,380 font 'sans-serif,12' background '#ffffff'
set output '{picture}'
set multiplot layout 1,2 title "{title}" font ',13'
set style data histograms
set style fill solid border lt -1
set boxwidth 0.85
set grid y lc '#dddddd'
set yrange [0:*]
set border 3
set tics nomirror
set key outside top center horizontal reverse Left samplen 1 font ',10'
set xrange [-0.7:*]
set bmargin 3
$rate << END
{rate}
END
$cpu << END
{cpu}
END
set style histogram clustered gap 1
set ylabel 'jobs/s'
plot $rate using 2:xtic(1) title '{bar0}' lc '#9aa5b1', '' using 3 title '{bar1}' lc '#d9902f', \\
     '' using 4 title '{bar2}' lc '#f3cf95'
set style histogram rowstacked
set ylabel 'CPU per job, us'
set xtics font ',9'
set xrange [*:*]
plot $cpu using 2:xtic(1) title 'broker' lc '#9aa5b1', '' using 3 title 'skep or consumer' lc '#d9902f', \\
     '' using 4 title 'service' lc '#f3cf95'
"""


def chosen(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """By queue and service: one worker, with the first row's messages and prefetch."""
    first = rows[0]
    return {
        (row["queue"], row["service"]): row
        for row in rows
        if row["workers"] == 1 and all(row[name] == first[name] for name in ("prefetch", "body", "ids"))
    }


def cpu_line(queue: str, service: str, row: dict[str, Any]) -> str:
    cpu = {name: value["median"] for name, value in row["cpu_us_per_job"].items()}
    own = row[OWN]["median"] if service else cpu["raw"]
    label = {"": "bare", "c": "C", "python": "Python"}[service]
    return f'"{queue},\\n{label}" {cpu["broker"]} {own} {cpu.get("service", 0)}'


def script(whole: dict[str, Any]) -> str:
    rows, machine = whole["result"]["rows"], whole["machine"]
    table = chosen(rows)
    queues = list(dict.fromkeys(row["queue"] for row in rows))
    services = [service for service, _ in BARS]
    rates = [
        f'"{queue}" ' + " ".join(str(table[queue, service]["jobs_per_s"]["median"]) for service in services)
        for queue in queues
    ]
    cpus = [cpu_line(queue, service, table[queue, service]) for queue in queues for service in services]
    title = (
        f"A full queue (classic, quorum), one worker, prefetch {rows[0]['prefetch']}, {rows[0]['body']} byte bodies; "
        f"{machine['cores']} cores, medians of {whole['settings']['rounds']}"
    )
    bars = {f"bar{n}": label for n, (_, label) in enumerate(BARS)}
    return SCRIPT.format(picture=PICTURE, title=title, rate="\n".join(rates), cpu="\n".join(cpus), **bars)


def main() -> int:
    if not RESULTS.exists():
        print(f"picture: {RESULTS.relative_to(ROOT)} is not there", file=sys.stderr)
        return 1
    drawn = subprocess.run(["gnuplot"], input=script(json.loads(RESULTS.read_text())), text=True)
    return drawn.returncode


if __name__ == "__main__":
    sys.exit(main())
