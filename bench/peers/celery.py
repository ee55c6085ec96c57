# SPDX-License-Identifier: MIT
"""Celery, with RabbitMQ as its broker. Why these settings: README.md."""

import json
import sqlite3
from contextlib import closing, suppress

from measure import PYTHON, Context, descendants

from peers.peer import WORK, Running, Setting, need_module

PACKAGE = "celery"
PREFETCH = 128  # for each pool process
SETTINGS = (
    Setting(
        "early ack, no results",
        "a job that was under way is lost; no result",
        {"task_ignore_result": True, "task_acks_late": False},
        slower=5,
    ),
    Setting(
        "late ack, no results",
        "job runs again; no result",
        {"task_ignore_result": True, "task_acks_late": True, "task_reject_on_worker_lost": True},
        slower=5,
    ),
    Setting(
        "late ack, results in SQLite",
        "job runs again; result on disk before the ack",
        {"task_ignore_result": False, "task_acks_late": True, "task_reject_on_worker_lost": True},
        slower=50,
    ),
)


def check() -> None:
    need_module(PACKAGE, "celery")
    need_module("python3-sqlalchemy", "sqlalchemy")


class Peer(Running):
    def __init__(self, ctx: Context, setting: Setting, job: str, workers: int):
        super().__init__(ctx, setting, job, workers)
        self.broker = ctx.broker("celery")
        self.results = self.dir / "results.db"

    def environment(self) -> dict[str, str]:
        conf = {
            "broker_url": self.broker.url(),
            "worker_prefetch_multiplier": PREFETCH,
            "task_default_queue": "work",
        } | self.setting.options
        if not conf["task_ignore_result"]:
            conf["result_backend"] = f"db+sqlite:///{self.results}"
        return super().environment() | {"BENCH_CELERY": json.dumps(conf)}

    def start(self) -> None:
        lean = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        command = (PYTHON, "-m", "celery", "-A", "celery_tasks", "worker", "-l", "WARNING", "-n", "bench@%h")
        self.main = self.spawn(*command, "-P", "prefork", "-c", self.workers, "-O", "fair", *lean)
        self.wait(lambda: len(descendants(self.main.pid)) >= self.workers, "celery's pool")
        self.broker.wait_consumers("work")

    def fill(self, count: int, size: int) -> None:
        self.call(PYTHON, WORK / "celery_tasks.py", self.job, count, size)

    def server_pids(self) -> list[int]:
        return []  # the broker, which the bench has in any case

    def worker_pids(self) -> list[int]:
        return [self.main.pid, *descendants(self.main.pid)]

    def is_recorded(self, count: int) -> bool:
        if self.setting.options["task_ignore_result"]:
            return True
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{self.results}?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM celery_taskmeta").fetchone()[0] >= count
        return False

    def stop(self) -> None:
        super().stop()
        self.broker.delete("work")
        self.broker.close()
