#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures skep against what it stands on, on this machine, with a RabbitMQ of its own.

    bench.py                                 all parts, medians of five rounds; results into bench/results/
    bench.py --only throughput --quick       a look: fewer rounds and messages, nothing is written
    bench.py --only throughput -o prefetch=100 -o queue=classic --rounds 1 --messages 20000

A part that misses a target says so and the others go on; the exit code is 1 then. bench/README.md says what is
measured and how.
"""

import argparse
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from measure import ROOT, Context, Rabbit, write_result

# In the order in which they run. Each is a module of this folder (see measure.py).
PARTS = ("throughput", "latency", "handlers", "peers")
RESULTS = ROOT / "bench" / "results"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part (may be given again)")
    parser.add_argument("--rounds", type=int, default=0, help="default 5; --quick: 1")
    parser.add_argument("--messages", type=int, default=0, help="of a throughput round; default 30000; --quick: 10000")
    parser.add_argument("--quick", action="store_true", help="a look, not a measurement: nothing is written")
    parser.add_argument("--keep", action="store_true", help="keep the scratch directory")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    parser.add_argument("-o", metavar="NAME=VALUE", action="append", default=[], help="an option of a part")
    return parser.parse_args()


def run_part(name: str, ctx: Context, args: argparse.Namespace) -> bool:
    part = importlib.import_module(name)
    ctx.say(f"\n== {name}: {part.TITLE}")
    result = part.run(ctx)
    for line in part.report(result):
        ctx.say(line)
    if not args.quick:
        settings = {"rounds": ctx.rounds, "messages": ctx.messages} | ctx.options
        write_result(name, part.TITLE, settings, result, args.results / f"{name}.json")
    return not result.get("missed")


def main() -> int:
    args = arguments()
    # not /tmp, which may be memory: results are to be fsynced to a disk
    scratch = Path(os.environ.get("SKEP_BENCH_DIR", ROOT / "build"))
    scratch.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=scratch))
    rabbit = Rabbit(directory / "rabbit").start()
    ctx = Context(
        rabbit=rabbit,
        dir=directory,
        rounds=args.rounds or (1 if args.quick else 5),
        messages=args.messages or (10000 if args.quick else 30000),
        quick=args.quick,
        options=dict(pair.split("=", 1) for pair in args.o),
    )
    good = True
    try:
        for name in args.only or PARTS:
            good = run_part(name, ctx, args) and good
    finally:
        rabbit.stop()
        if not args.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
