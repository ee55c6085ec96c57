#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The rule that scales, by skep-sim: a table for each traffic and for the trace of the demo, bench/results/scale.json, and
docs/scaling.svg. Simulated time: the figures are alike on every machine. Exit 1 if a promise is missed.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIM = ROOT / "build" / "bin" / "skep-sim"
RESULTS = ROOT / "bench" / "results" / "scale.json"
PICTURE = ROOT / "docs" / "scaling.svg"
TRACE = "bench/traces/demo.csv"
RUNS = (["--check"], ["--check", "--trace", TRACE])


def main() -> int:
    missed, found = False, []
    for options in RUNS:
        with subprocess.Popen([SIM, "--json", *options], stdout=subprocess.PIPE, cwd=ROOT, text=True) as told:
            missed |= subprocess.run([SIM, *options], cwd=ROOT).returncode != 0
            found += json.load(told.stdout)
    for traffic in found:
        traffic["title"] = TRACE if traffic["traffic"] == "trace" else traffic["traffic"]
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    draw = [SIM, "--traffic", "slow", "--plot", PICTURE]
    drawn = subprocess.run(draw, stdout=subprocess.DEVNULL).returncode == 0
    print(f"written: {RESULTS.relative_to(ROOT)}" + (f", {PICTURE.relative_to(ROOT)}" if drawn else ""))
    return 1 if missed or not drawn else 0


if __name__ == "__main__":
    sys.exit(main())
