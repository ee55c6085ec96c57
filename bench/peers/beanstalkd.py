# SPDX-License-Identifier: MIT
"""beanstalkd. Why these settings: README.md."""

import socket
from contextlib import suppress

from measure import PYTHON, Context
from rabbitmq import free_ports

from peers.peer import WORK, Running, Setting, need_program

PACKAGE = "beanstalkd"
SETTINGS = (
    Setting("in memory", "every job is lost with beanstalkd; no result"),
    Setting(
        "log, fsync each 50 ms",
        "a queued job runs again, but for the last 50 ms; no result is kept",
        {"fsync_ms": 50},
    ),
    Setting("log, fsync always", "a queued job runs again; no result is kept", {"fsync_ms": 0}, slower=5),
)


def check() -> None:
    need_program(PACKAGE, "beanstalkd")


class Peer(Running):
    def __init__(self, ctx: Context, setting: Setting, job: str, workers: int):
        super().__init__(ctx, setting, job, workers)
        self.port = free_ports(1)[0]

    def stats(self) -> dict[str, str]:
        """Of the server; empty while it does not answer."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as server:
            stream = server.makefile("rb")
            server.sendall(b"stats\r\n")
            text = stream.read(int(stream.readline().split()[1])).decode()
            return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        return {}

    def start(self) -> None:
        log: tuple = ()
        if self.setting.options:
            (self.dir / "binlog").mkdir()
            log = ("-b", self.dir / "binlog", "-f", self.setting.options["fsync_ms"])
        self.server = self.spawn(need_program(PACKAGE, "beanstalkd"), "-l", "127.0.0.1", "-p", self.port, *log)
        self.wait(self.stats, "beanstalkd")
        self.clients = [
            self.spawn(PYTHON, WORK / "beanstalk_worker.py", self.port, self.job) for _ in range(self.workers)
        ]
        self.wait(lambda: int(self.stats().get("current-waiting", 0)) == self.workers, "beanstalkd's workers")

    def fill(self, count: int, size: int) -> None:
        self.call(PYTHON, WORK / "beanstalk_worker.py", self.port, self.job, count, size)

    def server_pids(self) -> list[int]:
        return [self.server.pid]

    def worker_pids(self) -> list[int]:
        return [client.pid for client in self.clients]
