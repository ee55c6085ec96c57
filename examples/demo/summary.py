#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads `skep --json list` and says what happened; computes each result once more and compares.

    skep --json list --limit 1000 | summary.py JOBS SECONDS

Fails unless there are JOBS jobs, each over, all done but one, all results right."""

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path


def is_right(job: dict) -> bool:
    if job["type"] == "count":
        told = json.loads(job["result"])
        text = Path(told["file"]).read_bytes()
        return (told["lines"], told["words"], told["bytes"]) == (text.count(b"\n"), len(text.split()), len(text))
    digest, name = job["result"].rstrip("\n").split("  ", 1)
    return digest == hashlib.sha256(Path(name).read_bytes()).hexdigest()


def main() -> int:
    expected, seconds = int(sys.argv[1]), float(sys.argv[2])
    jobs = json.load(sys.stdin)
    states = Counter(job["state"] for job in jobs)
    done = [job for job in jobs if job["state"] == "done"]
    retried = [job for job in done if job["attempt"] > 1]
    right = sum(map(is_right, done))
    print(f"  {states['done']} of {expected} jobs are done, {states['dead']} is dead, in {seconds:.1f} s: "
          f"{len(jobs) / seconds:.0f} jobs/s")
    print(f"  {len(retried)} failed at first, waited 2 s in the database, and were done at the second attempt")
    print(f"  {right} results were computed once more here: {'all the same' if right == len(done) else 'NOT the same'}")
    for kind in ("hash", "flaky", "count"):
        sample = next(job for job in done if job["type"] == kind)
        print(f"  {kind:6} {sample['result'].strip()[:100]}")
    as_promised = len(jobs) == expected and states["done"] == expected - 1 and states["dead"] == 1
    return 0 if as_promised and right == len(done) else 1


if __name__ == "__main__":
    sys.exit(main())
