#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The body is the name of a file, the result its lines, words and bytes as JSON."""

import json
import sys

name = sys.stdin.read()
try:
    with open(name, "rb") as file:
        text = file.read()
except OSError as error:
    print(error, file=sys.stderr)
    sys.exit(66)  # EX_NOINPUT, one of dead_exits
json.dump({"file": name, "lines": text.count(b"\n"), "words": len(text.split()), "bytes": len(text)}, sys.stdout)
