# SPDX-License-Identifier: MIT
"""The application that Celery's worker runs; as a program it publishes: celery_tasks.py TASK COUNT BYTES."""

import json
import os
import sys

import counting
from celery import Celery

app = Celery("bench")
app.conf.update(json.loads(os.environ["BENCH_CELERY"]))


@app.task(name="noop")
def noop(body: str) -> None:
    counting.noop(body.encode())


@app.task(name="program")
def program(body: str) -> None:
    counting.program(body.encode())


def main() -> None:
    task, count, size = app.tasks[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            task.apply_async(("x" * size,), producer=producer)


if __name__ == "__main__":
    main()
