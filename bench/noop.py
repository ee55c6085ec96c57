#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A service that does nothing, in Python: what the language itself costs. Lines are read and answered in bulk, as
the protocol permits: all that one read brought is answered by one write."""

import json
import os

left = b""
os.write(3, b'{"hello":{"version":1,"capabilities":[]}}\n')
while data := os.read(3, 1 << 18):
    *lines, left = (left + data).split(b"\n")
    answers = ""
    for line in lines:
        job = json.loads(line).get("job")
        if job:
            answers += '{"done":{"run":"%s","result":""}}\n' % job["run"]
    view = memoryview(answers.encode())
    while view:
        view = view[os.write(3, view) :]
