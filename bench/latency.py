# SPDX-License-Identifier: MIT
"""(c): from a publish to the start of its job, against a bare consumer's receiving it.

A publisher on a steady beat writes the time into each body. The bare consumer notes the age of a message when it
has it, the service the age of a job when it has read its line: broker, worker and the socket between lie before.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from measure import TOOLS, Broker, Context, node_pids, spread, wait_until

TITLE = "publish to start latency, against a bare consumer's receiving"
SECONDS = 10
BODY_BYTES = 100
MOST_P50_MS = 0.3  # beyond the bare consumer's
MOST_P99_MS = 2.0
WARMUP = 50  # messages that are not counted: the first ones meet cold caches


def percentiles(path: Path) -> dict[str, float]:
    ages = sorted(int(line) / 1e6 for line in path.read_text().splitlines()[WARMUP:])
    return {name: ages[min(len(ages) - 1, int(len(ages) * part))] for name, part in (("p50", 0.5), ("p99", 0.99))}


def publish(broker: Broker, count: int, rate: int) -> None:
    command = [TOOLS / "fill", broker.url(), "work", str(count), str(BODY_BYTES), "noop", "none", str(rate)]
    subprocess.run(command, check=True, timeout=count / rate + 60)


def run_raw(ctx: Context, queue: str, rate: int, count: int) -> dict[str, float]:
    broker, ages = ctx.broker(queue), ctx.dir / "ages"
    broker.declare("work", x_queue_type=queue)
    with subprocess.Popen([TOOLS / "hear", broker.url(), "work", str(count), ages]) as raw:
        broker.wait_consumers("work")
        publish(broker, count, rate)
        assert raw.wait(30) == 0, "the bare consumer failed"
    broker.delete("work")
    broker.close()
    return percentiles(ages)


def run_skep(ctx: Context, queue: str, rate: int, count: int) -> dict[str, float]:
    broker = ctx.broker(queue)
    node = ctx.node(broker)
    ages = node.dir / "ages"
    pool = {"prefetch": ctx.options["prefetch"]} if "prefetch" in ctx.options else {}
    node.consume("work", queue, **pool)
    node.sections["handler noop"] = {"service": f"{TOOLS / 'noop'} {ages}", "warmup": "yes"}
    try:
        node.start()
        node.wait_consuming("work")
        wait_until(lambda: node_pids(node)["service"], "a warm service")
        publish(broker, count, rate)
        wait_until(lambda: node.get("/v1/pools").json()[0]["done"] == count, "the last job", 30)
    finally:
        node.clean_up()
    found = percentiles(ages)
    assert len(ages.read_text().splitlines()) == count, "jobs ran more than once"
    broker.delete("work")
    broker.close()
    shutil.rmtree(node.dir)
    return found


def run(ctx: Context) -> dict[str, Any]:
    seconds = int(ctx.options.get("seconds", "4" if ctx.quick else str(SECONDS)))
    rows, missed = [], []
    seen: dict[tuple[str, int], list[tuple[dict[str, float], dict[str, float]]]] = {}
    for number in range(ctx.rounds):
        for queue in ctx.options.get("queue", "classic quorum").split():
            for rate in (50, 1000):
                count = max(rate * seconds, WARMUP * 3)
                pair = run_raw(ctx, queue, rate, count), run_skep(ctx, queue, rate, count)
                seen.setdefault((queue, rate), []).append(pair)
                ctx.say(f"round {number + 1}/{ctx.rounds}  {queue} {rate}/s: raw {show(pair[0])}, skep {show(pair[1])}")
    for (queue, rate), pairs in seen.items():
        row: dict[str, Any] = {"queue": queue, "rate": rate}
        for at, most in (("p50", MOST_P50_MS), ("p99", MOST_P99_MS)):
            row[f"raw_{at}_ms"] = spread(raw[at] for raw, _ in pairs)
            row[f"skep_{at}_ms"] = spread(skep[at] for _, skep in pairs)
            row[f"beyond_{at}_ms"] = spread(skep[at] - raw[at] for raw, skep in pairs)
            if row[f"beyond_{at}_ms"]["median"] > most:
                missed.append(f"{queue} {rate}/s: {at} is {row[f'beyond_{at}_ms']['median']} ms later, {most} is promised")
        rows.append(row)
    return {"rows": rows, "missed": missed}


def show(found: dict[str, float]) -> str:
    return f"{found['p50']:.2f}/{found['p99']:.2f} ms"


def report(result: dict[str, Any]) -> list[str]:
    lines = [f"{'':<20}{'raw p50':>10}{'p99':>8}{'skep p50':>10}{'p99':>8}{'later p50':>11}{'p99':>8}   ms, medians"]
    for row in result["rows"]:
        values = [row[f"{who}_{at}_ms"]["median"] for who in ("raw", "skep", "beyond") for at in ("p50", "p99")]
        line = f"{row['queue'] + ' ' + str(row['rate']) + '/s':<20}"
        lines.append(line + "".join(f"{v:>{w}.2f}" for v, w in zip(values, (10, 8, 10, 8, 11, 8))))
    return lines + [f"MISSED: {text}" for text in result["missed"]]
