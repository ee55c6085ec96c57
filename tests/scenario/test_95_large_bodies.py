# SPDX-License-Identifier: MIT
"""Bodies of 8 MiB: whole, and no more of them in memory than are being worked on."""

import os

import pytest

import large
from peaks import Peaks
from skep import Skep

ON_THE_WAY = 20 * large.BODY_BYTES  # in memfds of the whole machine: seven would do, were this test alone

pytestmark = pytest.mark.xdist_group("large")  # one after the other


def start(skep: Skep) -> None:
    large.configure(skep)
    skep.start()
    skep.wait_consuming(large.QUEUE, large.WORKERS)


def test_through_a_command(skep: Skep) -> None:
    start(skep)
    with Peaks(skep) as peaks:
        large.run_jobs(skep, "sum", 24, large.by_broker, large.Bodies())
    assert large.COMMAND.excess(peaks) == []


def test_through_a_service(skep: Skep) -> None:
    start(skep)
    with Peaks(skep) as peaks:
        large.run_jobs(skep, "service", 24, large.by_broker, large.Bodies())
    assert large.SERVICE_LINE.excess(peaks) == []


def test_retried_once(skep: Skep) -> None:
    start(skep)
    with Peaks(skep) as peaks:
        large.run_jobs(skep, "again", 24, large.by_broker, large.Bodies())
    assert large.COMMAND.excess(peaks) == []


def test_submitted_and_due_together(skep: Skep) -> None:
    """The store has all of them at once, and hands them to the courier as they are taken."""
    start(skep)
    with Peaks(skep) as peaks:
        large.run_jobs(skep, "sum", 32, large.due_in(8), large.Bodies())
    assert large.COMMAND.excess(peaks) == []
    assert peaks.shared < ON_THE_WAY, peaks.shared


def test_as_results(skep: Skep) -> None:
    start(skep)
    with Peaks(skep) as peaks:
        large.run_jobs(skep, "same", 16, large.by_broker, large.Bodies())
    assert large.RESULTS.excess(peaks) == []


def test_by_the_command_line(skep: Skep) -> None:
    start(skep)
    body = os.urandom(large.BODY_BYTES)
    path = skep.dir / "body"
    path.write_bytes(body)
    with Peaks(skep) as peaks:
        told = skep.cli("submit", "same", f"@{path}", "--queue", large.QUEUE, "--wait")
    assert told.stdout == body
    assert large.JSON_REQUEST.excess(peaks) == []
