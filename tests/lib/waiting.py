# SPDX-License-Identifier: MIT
"""Waiting for an event, with a deadline: the only way in which tests wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.02


def wait_until(check: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """Returns the first true value of check(); fails with `what` and its last value at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for: {what} (last: {value!r})")
        time.sleep(POLL_SECONDS)


def stays(check: Callable[[], object], what: str, seconds: float) -> None:
    """For promises that something does not happen: check() is true from now on for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert check(), f"did not stay so for {seconds} s: {what}"
        time.sleep(POLL_SECONDS)
