# SPDX-License-Identifier: MIT
"""libskep-client by its shared library, as a program in another language would use it (include/skep/client.h)."""

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_int64, c_size_t, c_void_p
from dataclasses import dataclass

from skep import ROOT

OK, UNREACHABLE, TIMEOUT, REFUSED, INVALID, NO_HANDLER, UNROUTABLE, FULL, NOT_FOUND, FAILED = range(10)
DONE, DEAD, CANCELLED, EXPIRED = range(1, 5)
NO_RETRIES = -1


class Error(ctypes.Structure):
    _fields_ = [("code", c_int), ("text", c_char * 400)]


class Submission(ctypes.Structure):
    _fields_ = [
        ("type", c_char_p),
        ("queue", c_char_p),
        ("body", c_char_p),
        ("body_bytes", c_size_t),
        ("id", c_char * 256),
        ("retries", c_int),
        ("priority", c_int),
        ("timeout_ms", c_int64),
        ("delay_ms", c_int64),
        ("at_ms", c_int64),
        ("expires_ms", c_int64),
        ("content_type", c_char_p),
        ("correlation_id", c_char_p),
        ("reply_to", c_char_p),
        ("wants_result", c_int),
        ("error", Error),
        ("existing", c_int),
    ]


class RawResult(ctypes.Structure):
    _fields_ = [
        ("state", c_int),
        ("data", c_void_p),
        ("bytes", c_size_t),
        ("cut", c_int),
        ("error", c_char_p),
    ]


@dataclass
class Result:
    state: int
    data: bytes | None
    cut: int
    error: str


class Failure(Exception):
    def __init__(self, error: Error):
        super().__init__(f"{error.code}: {error.text.decode()}")
        self.code, self.text = error.code, error.text.decode()


def library() -> ctypes.CDLL:
    lib = ctypes.CDLL(str(ROOT / "build/lib/libskep-client.so.0"))
    lib.skep_client_open.restype = c_void_p
    lib.skep_client_open.argtypes = [c_char_p, c_int64, POINTER(Error)]
    lib.skep_client_close.argtypes = [c_void_p]
    lib.skep_submit.argtypes = [c_void_p, POINTER(Submission)]
    lib.skep_submit_many.argtypes = [c_void_p, POINTER(Submission), c_size_t]
    lib.skep_wait.argtypes = [c_void_p, c_char_p, c_char_p, c_int64, POINTER(RawResult), POINTER(Error)]
    lib.skep_result_free.argtypes = [POINTER(RawResult)]
    return lib


@contextmanager
def fatal_pipe() -> Iterator[None]:
    """A SIGPIPE would end the process, as it does in most programs of C."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, before)


class Client:
    """Raises Failure where the library says no; submissions carry their own codes."""

    def __init__(self, where: str | None, timeout_ms: int = 20000):
        self.lib = library()
        error = Error()
        self.handle = self.lib.skep_client_open(where.encode() if where else None, timeout_ms, byref(error))
        if not self.handle:
            raise Failure(error)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.lib.skep_client_close(self.handle)

    def submit(self, type: str | None, body: bytes = b"", **members: object) -> Submission:
        job = submission(type, body, **members)
        assert self.lib.skep_submit(self.handle, byref(job)) == job.error.code
        return job

    def accepted(self, type: str | None, body: bytes = b"", **members: object) -> Submission:
        job = self.submit(type, body, **members)
        assert job.error.code == OK, job.error.text
        return job

    def submit_many(self, jobs: list[Submission]) -> list[Submission]:
        array = (Submission * len(jobs))(*jobs)
        first = self.lib.skep_submit_many(self.handle, array, len(jobs))
        assert first == next((job.error.code for job in array if job.error.code), OK)
        return list(array)

    def wait(self, job: Submission | str, timeout_ms: int = 20000, queue: str | None = None) -> Result:
        name = job.encode() if isinstance(job, str) else job.id
        raw, error = RawResult(), Error()
        code = self.lib.skep_wait(
            self.handle, name, queue.encode() if queue else None, timeout_ms, byref(raw), byref(error)
        )
        if code != OK:
            assert code == error.code and error.text and not raw.data and not raw.error
            raise Failure(error)
        data = ctypes.string_at(raw.data, raw.bytes) if raw.data else None
        result = Result(raw.state, data, raw.cut, (raw.error or b"").decode())
        self.lib.skep_result_free(byref(raw))
        return result


def submission(type: str | None, body: bytes = b"", **members: object) -> Submission:
    members = {k: v.encode() if isinstance(v, str) else v for k, v in members.items()}
    return Submission(type=type.encode() if type else None, body=body, body_bytes=len(body), **members)
