# SPDX-License-Identifier: MIT
"""gearmand, with background jobs. Why these settings: README.md."""

import socket
from contextlib import suppress

from measure import PYTHON, Context
from rabbitmq import free_ports

from peers.peer import WORK, Running, Setting, need_program

PACKAGE = "gearman-job-server"
SETTINGS = (
    Setting("queue in memory", "every job is lost with gearmand; no result"),
    Setting("queue in SQLite", "a queued job runs again; no result is kept", {"persistent": True}, slower=20),
)


def check() -> None:
    need_program(PACKAGE, "gearmand")


class Peer(Running):
    def __init__(self, ctx: Context, setting: Setting, job: str, workers: int):
        super().__init__(ctx, setting, job, workers)
        self.port = free_ports(1)[0]

    def asked(self, line: str) -> str:
        """The administrative protocol; empty while the server does not answer."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as server:
            server.sendall(line.encode() + b"\n")
            stream = server.makefile("r")
            answer = ""
            while (got := stream.readline()) and got != ".\n":
                answer += got
                if line == "version":
                    break
            return answer
        return ""

    def start(self) -> None:
        queue = ("-q", "libsqlite3", "--libsqlite3-db", self.dir / "queue.db") if self.setting.options else ()
        command = (need_program(PACKAGE, "gearmand"), "-L", "127.0.0.1", "-p", self.port, "-l", self.dir / "gearmand.log")
        self.server = self.spawn(*command, "-P", self.dir / "gearmand.pid", *queue)
        self.wait(lambda: self.asked("version"), "gearmand")
        self.clients = [
            self.spawn(PYTHON, WORK / "gearman_worker.py", self.port, self.job) for _ in range(self.workers)
        ]
        self.wait(self.ready, "gearman's workers")

    def ready(self) -> bool:
        """FUNCTION TOTAL RUNNING WORKERS, each after a tab."""
        rows = [line.split("\t") for line in self.asked("status").splitlines()]
        return any(row[0] == self.job and int(row[3]) == self.workers for row in rows)

    def fill(self, count: int, size: int) -> None:
        self.call(PYTHON, WORK / "gearman_worker.py", self.port, self.job, count, size)

    def server_pids(self) -> list[int]:
        return [self.server.pid]

    def worker_pids(self) -> list[int]:
        return [client.pid for client in self.clients]
