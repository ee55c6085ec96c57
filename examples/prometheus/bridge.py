#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Passes GET /metrics from a TCP port to the unix socket of a skep node, and nothing else.

    bridge.py [--socket /run/skep/skep.sock] [--listen 127.0.0.1:9808]
"""

import argparse
import http.client
import http.server
import socket


class Node(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("skep", timeout=10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Handler(http.server.BaseHTTPRequestHandler):
    node_socket = ""

    def do_GET(self) -> None:
        if self.path != "/metrics":
            self.send_error(404, "there is /metrics alone")
            return
        try:
            node = Node(self.node_socket)
            node.request("GET", "/metrics", headers={"Accept": self.headers.get("Accept", "*/*")})
            answer = node.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.send_error(502, f"the node does not answer: {error}")
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A line for each scrape would say nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--socket", default="/run/skep/skep.sock")
    parser.add_argument("--listen", default="127.0.0.1:9808")
    arguments = parser.parse_args()
    Handler.node_socket = arguments.socket
    host, _, port = arguments.listen.rpartition(":")
    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    print(f"http://{host}:{server.server_port}/metrics", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
