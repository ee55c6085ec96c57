# SPDX-License-Identifier: MIT
"""A worker of gearmand, in its binary protocol (https://gearman.org/protocol/), since Debian has no Python client.
The result of a job and the request for the next one are one write. As a program with a count it submits
background jobs: gearman_worker.py PORT JOB [COUNT BYTES]."""

import socket
import struct
import sys
import uuid

import counting

CAN_DO, PRE_SLEEP, NOOP, JOB_CREATED, GRAB_JOB = 1, 4, 6, 8, 9
NO_JOB, JOB_ASSIGN, WORK_COMPLETE, SUBMIT_JOB_BG = 10, 11, 13, 18
WINDOW = 200


def packet(kind: int, *words: bytes) -> bytes:
    data = b"\0".join(words)
    return b"\0REQ" + struct.pack(">II", kind, len(data)) + data


def receive(stream) -> tuple[int, bytes]:
    header = stream.read(12)
    if len(header) < 12:
        sys.exit(0)
    kind, size = struct.unpack(">II", header[4:])
    return kind, stream.read(size)


def work(server: socket.socket, stream, job: str) -> None:
    run = counting.JOBS[job]
    server.sendall(packet(CAN_DO, job.encode()) + packet(GRAB_JOB))
    while True:
        kind, data = receive(stream)
        if kind == JOB_ASSIGN:
            handle, _, body = data.split(b"\0", 2)
            run(body)
            server.sendall(packet(WORK_COMPLETE, handle, b"") + packet(GRAB_JOB))
        elif kind == NO_JOB:
            server.sendall(packet(PRE_SLEEP))
        elif kind == NOOP:
            server.sendall(packet(GRAB_JOB))


def submit(server: socket.socket, stream, job: str, count: int, size: int) -> None:
    body, open_ones = b"x" * size, 0
    for sent in range(1, count + 1):
        server.sendall(packet(SUBMIT_JOB_BG, job.encode(), uuid.uuid4().hex.encode(), body))
        open_ones += 1
        while open_ones >= WINDOW or (sent == count and open_ones):
            kind, data = receive(stream)
            if kind != JOB_CREATED:
                sys.exit(f"gearmand refused a job: {data!r}")
            open_ones -= 1


def main(port: str, job: str, *amount: str) -> None:
    server = socket.create_connection(("127.0.0.1", int(port)))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = server.makefile("rb")
    if amount:
        submit(server, stream, job, int(amount[0]), int(amount[1]))
    else:
        work(server, stream, job)


if __name__ == "__main__":
    main(*sys.argv[1:])
