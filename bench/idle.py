#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What an idle node with four workers costs: PSS after half a minute, CPU over a minute.

Starts a RabbitMQ of its own. PSS (/proc/PID/smaps_rollup) counts a page that several processes share once in
all, so the sum is what the node really takes. Fails above the limits.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from rabbitmq import Rabbit, descendants  # noqa: E402

WORKERS = 4
IDLE_SECONDS = 30
CPU_SECONDS = 60
MOST_PSS_KIB = 32 * 1024
AIM_PSS_KIB = 25 * 1024
MOST_CPU_PERCENT = 0.2

CONFIG = """
[daemon]
state_dir = {dir}/state
runtime_dir = {dir}/run
[broker]
url = {url}
[pool default]
queues = idle
workers = {workers}
[handler true]
command = true
"""


def pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise ValueError(f"no Pss of process {pid}")


def cpu_seconds(pid: int) -> float:
    """Of all its threads, exact: the ticks of /proc/PID/stat miss what runs for less than one."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def name_of(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return " ".join([os.path.basename(words[0])] + [word for word in words[1:2] if "/" in word and word[0] != "/"])


def start_node(directory: str, url: str) -> subprocess.Popen:
    """Returns when every process of the node is ready."""
    config = Path(directory, "skep.conf")
    config.write_text(CONFIG.format(dir=directory, url=url, workers=WORKERS))
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(f"{directory}/notify")
    told.settimeout(30)
    with open(f"{directory}/log", "wb") as log:
        node = subprocess.Popen(
            [ROOT / "build/bin/skepd", "-c", config],
            stderr=log,
            env=os.environ | {"NOTIFY_SOCKET": f"{directory}/notify"},
        )
    try:
        while "READY=1" not in told.recv(4096).decode():
            pass
    except TimeoutError:
        node.terminate()
        sys.exit(f"bench-idle: the node did not get ready:\n{Path(directory, 'log').read_text()}")
    return node


def measure(pids: list[int]) -> bool:
    time.sleep(IDLE_SECONDS)
    pss = {pid: pss_kib(pid) for pid in pids}
    before = {pid: cpu_seconds(pid) for pid in pids}
    began = time.monotonic()
    time.sleep(CPU_SECONDS)
    took = time.monotonic() - began
    cpu = {pid: 100 * (cpu_seconds(pid) - before[pid]) / took for pid in pids}
    print(f"{'process':<28}{'PSS KiB':>10}{'CPU %':>10}")
    for pid in pids:
        print(f"{name_of(pid):<28}{pss[pid]:>10}{cpu[pid]:>10.4f}")
    all_pss, all_cpu = sum(pss.values()), sum(cpu.values())
    print(f"{'in all':<28}{all_pss:>10}{all_cpu:>10.4f}")
    print(f"{all_pss / 1024:.1f} MiB (aim {AIM_PSS_KIB >> 10}, limit {MOST_PSS_KIB >> 10}), ", end="")
    print(f"{all_cpu:.4f} % of a core over {CPU_SECONDS} s (limit {MOST_CPU_PERCENT})")
    return all_pss <= MOST_PSS_KIB and all_cpu <= MOST_CPU_PERCENT


def main() -> int:
    directory = tempfile.mkdtemp(prefix="skep-idle-")
    rabbit = Rabbit(Path(directory, "rabbit")).start()
    node = None
    try:
        node = start_node(directory, rabbit.url())
        good = measure([node.pid, *sorted(descendants(node.pid))])
        if node.poll() is not None:
            print("bench-idle: the node ended meanwhile", file=sys.stderr)
            good = False
    finally:
        if node:
            node.send_signal(signal.SIGTERM)
            node.wait()
        rabbit.stop()
        shutil.rmtree(directory)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
