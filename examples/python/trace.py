#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints what a node has recorded as a traffic for skep-sim: when each job came, and how long it ran, all attempts
together. With nothing but Python's own library.

    trace.py [QUEUE] > traffic.csv       SKEP_SOCKET says where the node is
    skep-sim --trace traffic.csv"""

import http.client
import json
import os
import socket
import sys
from datetime import datetime
from urllib.parse import urlencode

PAGE = 1000  # the most that the node gives at a time


class Node(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["SKEP_SOCKET"])


def main() -> int:
    node, wanted, came = Node("skep"), {"limit": PAGE}, []
    if len(sys.argv) > 1:
        wanted["queue"] = sys.argv[1]
    while True:
        node.request("GET", "/v1/jobs?" + urlencode(wanted))
        answer = node.getresponse()
        jobs = json.load(answer)
        if answer.status >= 300:
            print(f"refused: {jobs['error']}", file=sys.stderr)
            return 1
        for job in jobs:
            if job["attempts"]:
                at = datetime.fromisoformat(job["created_at"].replace("Z", "+00:00")).timestamp()
                came.append((at, sum(run["wall_ms"] or 0 for run in job["attempts"])))
        if len(jobs) < PAGE:
            break
        wanted["before"] = jobs[-1]["seq"]
    print("seconds,milliseconds")
    first = min(came)[0] if came else 0
    for at, took in sorted(came):
        print(f"{at - first:.3f},{took}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
