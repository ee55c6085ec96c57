#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A handler in Python: the body is JSON that names files, the result is JSON with their sizes in lines.

Progress goes to descriptor 3, a line `PERCENT text` at a time; `skep status` and `skep pools` show it."""

import json
import os
import sys

EX_DATAERR = 65  # in dead_exits of [handler report]: the job is dead at once, with its body kept


def main() -> int:
    try:
        names = json.load(sys.stdin)["files"]
    except (ValueError, KeyError, TypeError) as error:
        print(f"the body is not {{\"files\": [...]}}: {error}", file=sys.stderr)
        return EX_DATAERR
    lines = {}
    with os.fdopen(3, "w", buffering=1) as progress:
        for done, name in enumerate(names):
            print(f"{100 * done // len(names)} {name}", file=progress)
            with open(name, "rb") as file:
                lines[name] = sum(1 for _ in file)
    json.dump({"lines": lines, "total": sum(lines.values())}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
