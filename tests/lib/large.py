# SPDX-License-Identifier: MIT
"""Jobs with large bodies in bounded flight, and what became of them."""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from peaks import Peaks
from skep import Skep

BODY_BYTES = 8 << 20
FLIGHT = 16  # bodies that wait in a queue of the broker at a time
QUEUE = "large"
MIB = 1 << 20
PROCESS_BYTES = 7 * MIB  # what any of the processes needs by itself
WORKERS = 2
PREFETCH = 4

SERVICE = """#!/usr/bin/python3
import base64, hashlib, json, os
def say(**message):
    data = json.dumps(message).encode() + b"\\n"
    while data:
        data = data[os.write(3, data):]
say(hello={"version": 1})
for line in os.fdopen(3, "rb", closefd=False):
    job = json.loads(line).get("job")
    if job:
        body = base64.b64decode(job["body_base64"])
        say(done={"run": job["run"], "result": hashlib.sha256(body).hexdigest()})
"""


def configure(skep: Skep, queue_type: str = "classic") -> None:
    """Handlers: `sum` and `service` answer with the SHA-256 of the body, `again` the same at its second attempt,
    `same` with the body itself."""
    skep.consume(QUEUE, queue_type, workers=WORKERS, prefetch=PREFETCH, max_body="16M")
    skep.handler("sum", "sha256sum | cut -c1-64 | tr -d '\\n'")
    skep.handler("again", '[ "$SKEP_ATTEMPT" = 1 ] && exit 75\nsha256sum | cut -c1-64 | tr -d "\\n"', backoff="fixed 1s")
    skep.handler("same", "exec cat", max_result="16M")
    skep.handler("service", service=skep.script("service", SERVICE))


@dataclass
class Bodies:
    """Bodies of random bytes, each another one, without the cost of making 8 MiB each time."""

    common: bytes = field(default_factory=lambda: os.urandom(BODY_BYTES - 16))

    def __post_init__(self) -> None:
        self._sum = hashlib.sha256(self.common)

    def make(self) -> tuple[bytes, str]:
        """Body and digest."""
        last = os.urandom(16)
        digest = self._sum.copy()
        digest.update(last)
        return self.common + last, digest.hexdigest()


@dataclass
class Limits:
    """What a node may need at most, in bytes; each would be passed by one body too many."""

    line: int = 0  # a worker, beside its deliveries: a line to a service, results that are not yet recorded
    request: int = 2 * BODY_BYTES  # the gateway, of a request or of an answer

    def excess(self, peaks: Peaks) -> list[str]:
        found = {
            "worker": (peaks.worst(QUEUE).own, PREFETCH * BODY_BYTES + self.line),
            # a row is put together in one piece
            "store": (peaks.worst("store").own, BODY_BYTES),
            "store, mapped": (peaks.worst("store").mapped, BODY_BYTES),
            # its out-buffer takes one body above a high mark of 4 MiB
            "courier": (peaks.worst("courier").own, 2 * BODY_BYTES),
            "courier, mapped": (peaks.worst("courier").mapped, BODY_BYTES),
            "gateway": (peaks.worst("gateway").own, self.request),
            "log": (peaks.log, 7 * BODY_BYTES),
        }
        return [
            f"{name}: {value / MIB:.1f} MiB of {(limit + PROCESS_BYTES) / MIB:.1f}"
            for name, (value, limit) in found.items()
            if value >= limit + PROCESS_BYTES
        ]


COMMAND = Limits()
SERVICE_LINE = Limits(line=2 * BODY_BYTES)  # base64 of one body, in a buffer that doubles as it grows
RESULTS = Limits(line=2 * BODY_BYTES)
JSON_REQUEST = Limits(line=2 * BODY_BYTES, request=4 * BODY_BYTES)  # random bytes: base64, its tree, the bytes

Publish = Callable[[Skep, str, str, bytes], None]


def by_broker(skep: Skep, job_id: str, kind: str, body: bytes) -> None:
    """As a stranger publishes it."""
    skep.broker.publish(QUEUE, body, message_id=job_id, type=kind)


def by_rest(skep: Skep, job_id: str, kind: str, body: bytes, more: str = "") -> None:
    path = f"/v1/jobs?queue={QUEUE}&type={kind}&id={job_id}{more}"
    answer = skep.http("POST", path, body, {"Content-Type": "application/octet-stream"})
    assert answer.status == 201, (answer.status, answer.body)


def due_in(seconds: int) -> Publish:
    """All that are submitted within that time come due together."""
    due = datetime.now(timezone.utc) + timedelta(seconds=seconds)

    def by_due(skep: Skep, job_id: str, kind: str, body: bytes) -> None:
        by_rest(skep, job_id, kind, body, f"&at={due:%Y-%m-%dT%H:%M:%SZ}")

    return by_due


def run_jobs(skep: Skep, kind: str, count: int, publish: Publish, bodies: Bodies, seconds: float = 60) -> float:
    """Publishes them as fast as they are consumed, waits for the end of all, compares each result. Returns seconds.
    `seconds` is the patience with each of them."""
    sums: dict[str, str] = {}
    began = time.monotonic()
    for n in range(count):
        while n % 4 == 0 and skep.broker.depth(QUEUE) >= FLIGHT:
            time.sleep(0.01)
        job_id = f"{kind}-{publish.__name__}-{n}"
        body, sums[job_id] = bodies.make()
        publish(skep, job_id, kind, body)
    for job_id in sums:
        skep.wait_done(job_id, seconds)
    took = time.monotonic() - began
    for job_id, digest in sums.items():
        result = skep.result(job_id)
        if kind == "same":
            result = hashlib.sha256(result).hexdigest().encode()
        assert result == digest.encode(), (job_id, result[:80], digest)
    return took
