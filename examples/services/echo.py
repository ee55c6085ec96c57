#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A service in Python: one job at a time, the result is the body. docs/PROTOCOL.md has the language."""

import json
import os

lines = os.fdopen(3, "rb", closefd=False)


def say(kind: str, **members: object) -> None:
    data = json.dumps({kind: members}).encode() + b"\n"
    while data:
        data = data[os.write(3, data) :]


say("hello", version=1, capabilities=[])
for line in lines:  # ends when skep has no more for us
    job = json.loads(line).get("job")
    if not job:
        continue
    if "body" in job:
        say("done", run=job["run"], result=job["body"])
    else:
        say("done", run=job["run"], result_base64=job["body_base64"])
