#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Submits jobs to a node, over HTTP on its socket, with nothing but Python's own library.

    submit.py QUEUE TYPE BODY...       SKEP_SOCKET says where the node is

Prints the id of each job once it is on disk."""

import http.client
import json
import os
import socket
import sys


class Node(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ["SKEP_SOCKET"])


def main() -> int:
    queue, job_type, *bodies = sys.argv[1:]
    node = Node("skep")
    for body in bodies:
        job = json.dumps({"type": job_type, "queue": queue, "body": body})
        node.request("POST", "/v1/jobs", job, {"Content-Type": "application/json"})
        answer = node.getresponse()
        told = json.load(answer)
        if answer.status >= 300:
            print(f"refused: {told['error']}", file=sys.stderr)
            return 1
        print(told["id"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
