#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Jobs with bodies of 8 MiB: how many a second, and the largest memory that each process ever had.

    bench/large.py [JOBS] [PART...]

Starts a RabbitMQ and a node of its own. Never more than some dozens of bodies are under way: a job is published
when an earlier one was consumed. `shared` is the peak of all memfds, those between two processes too, and of the
whole machine; `log` the peak of the database's write-ahead log. Fails above the limits of tests/lib/large.py.
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

import large  # noqa: E402
from broker import Broker  # noqa: E402
from peaks import Peaks  # noqa: E402
from rabbitmq import Rabbit  # noqa: E402
from skep import Skep  # noqa: E402

JOBS = 1000
MIB = 1 << 20

PARTS = {
    "command": ("sum", large.by_broker, large.COMMAND),
    "service": ("service", large.by_broker, large.SERVICE_LINE),
    "retry": ("again", large.by_broker, large.COMMAND),
    "submit": ("sum", large.by_rest, large.COMMAND),
    "result": ("same", large.by_broker, large.RESULTS),
}


def run_part(directory: Path, rabbit: Rabbit, name: str, jobs: int) -> list[str]:
    """On a node of its own, so that a peak belongs to this part."""
    kind, publish, limits = PARTS[name]
    home = directory / name
    home.mkdir()
    skep = Skep(home, Broker(rabbit, rabbit.take_vhost()))
    large.configure(skep)
    skep.start()
    try:
        skep.wait_consuming(large.QUEUE, large.WORKERS)
        with Peaks(skep) as peaks:
            took = large.run_jobs(skep, kind, jobs, publish, large.Bodies())
    finally:
        skep.broker.close()
        skep.clean_up()
        shutil.rmtree(home)
    print(f"{name}: {jobs} jobs in {took:.1f} s, {jobs / took:.1f} a second, {jobs * 8 / took:.0f} MiB/s")
    print(f"  {'MiB at most':<12}{'resident':>10}{'own':>8}{'mapped':>8}")
    for process, peak in sorted(peaks.of.items()):
        print(f"  {process:<12}{peak.resident / MIB:>10.1f}{peak.own / MIB:>8.1f}{peak.mapped / MIB:>8.1f}")
    print(f"  shared {peaks.shared / MIB:.1f}, log {peaks.log / MIB:.1f}")
    excess = limits.excess(peaks)
    for text in excess:
        print(f"  above its limit: {text}")
    sys.stdout.flush()
    return excess


def main(words: list[str]) -> int:
    jobs = int(words.pop(0)) if words and words[0].isdigit() else JOBS
    directory = Path(tempfile.mkdtemp(prefix="skep-large-"))
    rabbit = Rabbit(directory / "rabbit").start()
    excess: list[str] = []
    try:
        for name in words or PARTS:
            excess += run_part(directory, rabbit, name, jobs)
    finally:
        rabbit.stop()
        shutil.rmtree(directory)
    return 1 if excess else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
