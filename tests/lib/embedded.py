# SPDX-License-Identifier: MIT
"""What a test needs of a broker, where there is none: the embedded queue, spoken to through the node's socket."""

import base64
from typing import TYPE_CHECKING, Any

from waiting import wait_until

if TYPE_CHECKING:
    from skep import Skep

# Headers of a foreign message, and the members of a submit that mean the same.
HEADERS = {
    "job-delay": "delay",
    "job-at": "at",
    "job-expires": "expires",
    "job-retries": "retries",
    "job-timeout": "timeout",
}
MEMBERS = ("type", "priority", "correlation_id", "content_type", "reply_to")
BATCH = 500

MODES = ["embedded", "classic", "quorum"]
# With the ways by which a job comes in; the embedded queue knows one.
WAYS = [("embedded", "submit"), *((mode, way) for mode in MODES[1:] for way in ("foreign", "submit"))]


class Embedded:
    """Has the part of Broker's interface that tests of job semantics use. A publish is a submit."""

    def __init__(self) -> None:
        self.nodes: list["Skep"] = []

    def attach(self, node: "Skep") -> None:
        self.nodes.append(node)

    @property
    def node(self) -> "Skep":
        return self.nodes[-1]

    def url(self) -> str:
        return "embedded"

    def close(self) -> None:
        """There is no connection to close."""

    # --- publishing ----------------------------------------------------------------------------

    def publish(self, queue: str, body: bytes | str = b"", **properties: Any) -> None:
        answer = self.node.post("/v1/jobs", job_of(queue, body, properties))
        assert answer.status in (200, 201), (answer.status, answer.body)

    def publish_bare(self, queue: str, body: bytes = b"") -> None:
        """No properties at all."""
        self.publish(queue, body)

    def publish_many(self, queue: str, jobs: list[tuple[str, str]], body: bytes = b"x") -> None:
        """(id, type) pairs."""
        rows = [job_of(queue, body, {"message_id": job_id, "type": job_type}) for job_id, job_type in jobs]
        for at in range(0, len(rows), BATCH):
            self.node.submit_many(rows[at : at + BATCH])

    # --- looking -------------------------------------------------------------------------------

    def depth(self, queue: str) -> int:
        """Those that wait in the store; the board follows it by a moment."""
        shown = next(row for row in self.node.get("/v1/queues").json() if row["name"] == queue)
        assert shown["type"] == "embedded", shown
        return shown["ready"] or 0

    def wait_consumers(self, queue: str, count: int = 1, seconds: float = 20) -> None:
        """Workers whose pool has the queue, and which the store has welcomed."""

        def enough() -> bool:
            pools = [pool for pool in self.node.get("/v1/pools").json() if queue in pool["queues"]]
            return sum(pool["connected"] for pool in pools) >= count

        wait_until(enough, f"{count} workers that serve {queue}", seconds)


def job_of(queue: str, body: bytes | str, properties: dict[str, Any]) -> dict[str, Any]:
    """The submit that says what such a message does; what has no counterpart in it is refused."""
    properties = dict(properties)
    job: dict[str, Any] = {"queue": queue}
    if "message_id" in properties:
        job["id"] = properties.pop("message_id")
    job |= {name: properties.pop(name) for name in MEMBERS if name in properties}
    job |= {HEADERS[name]: value for name, value in properties.pop("headers", {}).items()}
    assert not properties, f"a submit has no {sorted(properties)}"
    if isinstance(body, bytes):
        job["body_base64"] = base64.b64encode(body).decode()
    else:
        job["body"] = body
    return job
