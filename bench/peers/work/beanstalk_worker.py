# SPDX-License-Identifier: MIT
"""A worker of beanstalkd, in its protocol (doc/protocol.txt), since Debian has no Python client. The delete of a job and
the request for the next one are one write. As a program with a count it puts jobs:
beanstalk_worker.py PORT JOB [COUNT BYTES]."""

import socket
import sys

import counting

TIME_TO_RUN = 120  # seconds
WINDOW = 200


def work(server: socket.socket, stream, job: str) -> None:
    run = counting.JOBS[job]
    server.sendall(b"reserve\r\n")
    while line := stream.readline():
        words = line.split()
        if words[0] == b"DELETED":
            continue
        if words[0] != b"RESERVED":
            sys.exit(f"beanstalkd said {line!r}")
        body = stream.read(int(words[2]) + 2)[:-2]
        run(body)
        server.sendall(b"delete %s\r\nreserve\r\n" % words[1])


def put(server: socket.socket, stream, count: int, size: int) -> None:
    body, open_ones = b"x" * size, 0
    for sent in range(1, count + 1):
        server.sendall(b"put 1024 0 %d %d\r\n%s\r\n" % (TIME_TO_RUN, size, body))
        open_ones += 1
        while open_ones >= WINDOW or (sent == count and open_ones):
            line = stream.readline()
            if not line.startswith(b"INSERTED "):
                sys.exit(f"beanstalkd refused a job: {line!r}")
            open_ones -= 1


def main(port: str, job: str, *amount: str) -> None:
    server = socket.create_connection(("127.0.0.1", int(port)))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = server.makefile("rb")
    if amount:
        put(server, stream, int(amount[0]), int(amount[1]))
    else:
        work(server, stream, job)


if __name__ == "__main__":
    main(*sys.argv[1:])
