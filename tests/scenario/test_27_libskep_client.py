# SPDX-License-Identifier: MIT
"""libskep-client: jobs submitted and waited for from C, over the socket of a node and over a broker."""

import subprocess
import threading
import time
from collections.abc import Callable

import pytest

import skepclient
from broker import Broker
from proxy import Proxy
from skep import ROOT, Skep
from skepclient import Client, Failure, fatal_pipe, submission
from waiting import wait_until

ECHO = ROOT / "build/examples/services/skep"
EXAMPLE = ROOT / "build/examples/clients/submit"
WAYS = pytest.mark.parametrize("way", ["socket", "broker"])


def where(node: Skep, way: str) -> str:
    return node.socket if way == "socket" else node.broker.url()


def running(node: Skep) -> Skep:
    """With its queue on the broker."""
    node.start()
    node.wait_consuming("work")
    return node


def with_echo(node: Skep, **options: object) -> Skep:
    """A node that answers with the body."""
    node.consume("work", prefetch=50)
    node.handler("echo", service=ECHO, **options)
    return running(node)


def with_script(node: Skep, script: str, **options: object) -> Skep:
    node.consume("work", prefetch=20)
    node.handler("s", script, **options)
    return running(node)


@WAYS
def test_the_example_submits_and_waits(skep: Skep, way: str) -> None:
    with_echo(skep)
    environment = skep.full_environment() | {"SKEP_SOCKET": skep.socket}
    place = "-" if way == "socket" else skep.broker.url()
    done = subprocess.run(
        [EXAMPLE, place, "work", "echo", "a body"], env=environment, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a body", b"")


@WAYS
@pytest.mark.parametrize(
    "body",
    [b"", "text é \"\\\n".encode(), b"\0\xff\n" * 999, b"x\0" * 750_000],
    ids=["empty", "text", "binary", "large"],
)
def test_bodies_and_results_are_any_bytes(skep: Skep, way: str, body: bytes) -> None:
    with_echo(skep, max_result=2_000_000)
    with Client(where(skep, way)) as client:
        result = client.wait(client.accepted("echo", body, queue="work", wants_result=1))
    assert (result.state, result.data, result.cut, result.error) == (skepclient.DONE, body, 0, "")


@WAYS
def test_a_job_carries_what_it_was_given(skep: Skep, way: str) -> None:
    with_script(skep, 'echo "$SKEP_JOB_ID $SKEP_CONTENT_TYPE $SKEP_CORRELATION_ID $SKEP_PRIORITY $SKEP_TIMEOUT_MS"')
    with Client(where(skep, way)) as client:
        job = client.accepted(
            "s", queue="work", id="it/s mine", content_type="text/x", correlation_id="c1", priority=3,
            timeout_ms=2500, wants_result=1,
        )
        assert client.wait(job).data == b"it/s mine text/x c1 3 2500\n"


@WAYS
@pytest.mark.parametrize("type", ["application/json", "application/x-ndjson; a=b", "text/\u00e9"])
def test_a_content_type_is_the_jobs_own(skep: Skep, way: str, type: str) -> None:
    with_script(skep, 'printf "%s " "$SKEP_CONTENT_TYPE"; wc -c')
    with Client(where(skep, way)) as client:
        jobs = [submission("s", b"[" * n, queue="work", content_type=type, wants_result=1) for n in (1, 1, 70_000)]
        first = client.submit_many(jobs[:1])
        for job, n in zip(first + client.submit_many(jobs[1:]), (1, 1, 70_000), strict=True):
            assert job.error.code == skepclient.OK, job.error.text
            assert client.wait(job).data == f"{type} {n}\n".encode()


@WAYS
def test_a_delayed_job_is_not_early(skep: Skep, way: str) -> None:
    with_script(skep, "date +%s%3N")
    with Client(where(skep, way)) as client:
        before = time.time() * 1000
        late = client.accepted("s", queue="work", delay_ms=1500, wants_result=1)
        later = client.accepted("s", queue="work", at_ms=int(before) + 2500, wants_result=1)
        assert int(client.wait(late).data or b"") >= int(before) + 1500
        assert int(client.wait(later).data or b"") >= int(before) + 2500


@WAYS
def test_a_failure_comes_with_its_reason(skep: Skep, way: str) -> None:
    with_script(skep, "echo run >> $RUNS; exit 7", retries=5, backoff="fixed 10ms")
    with Client(where(skep, way)) as client:
        job = client.accepted("s", queue="work", retries=skepclient.NO_RETRIES, wants_result=1)
        result = client.wait(job)
        assert result.state == skepclient.DEAD and "7" in result.error and result.data is None
        assert len(skep.runs()) == 1
        job = client.accepted("s", queue="work", retries=2, wants_result=1)
        assert client.wait(job).state == skepclient.DEAD and len(skep.runs()) == 1 + 3


def test_an_unknown_type_is_refused_by_the_node(skep: Skep) -> None:
    with_echo(skep)
    with Client(skep.socket) as client:
        job = client.submit("nonsense", queue="work")
        assert job.error.code == skepclient.NO_HANDLER and b"nonsense" in job.error.text


def test_an_unknown_type_is_dead_by_way_of_the_broker(skep: Skep) -> None:
    """A broker does not know which handlers there are: it is accepted, and the end says why."""
    with_echo(skep)
    with Client(skep.broker.url()) as client:
        result = client.wait(client.accepted("nonsense", queue="work", wants_result=1))
        assert result.state == skepclient.DEAD and "nonsense" in result.error


def test_a_missing_queue_is_unroutable_and_the_others_arrive(broker: Broker) -> None:
    broker.declare("there")
    with Client(broker.url()) as client:
        jobs = client.submit_many([submission("t", b"x", queue=q) for q in ("there", "nowhere", "there")])
        assert [job.error.code for job in jobs] == [skepclient.OK, skepclient.UNROUTABLE, skepclient.OK]
    assert broker.depth("there") == 2


def test_a_full_queue_says_so(broker: Broker) -> None:
    broker.declare("small", x_max_length=1, x_overflow="reject-publish")
    with Client(broker.url()) as client:
        jobs = [client.submit("t", queue="small") for _ in range(3)]
    assert jobs[-1].error.code == skepclient.FULL, jobs[-1].error.text


@WAYS
def test_nobody_there(skep: Skep, way: str) -> None:
    place = skep.socket if way == "socket" else "amqp://guest:secret@127.0.0.1:1/"
    with pytest.raises(Failure) as failure:
        Client(place)
    assert failure.value.code == skepclient.UNREACHABLE and "secret" not in failure.value.text


def test_a_wrong_password_is_refused(broker: Broker) -> None:
    with pytest.raises(Failure) as failure:
        Client(broker.url().replace("guest:guest", "guest:secret"))
    assert failure.value.code == skepclient.REFUSED and "secret" not in failure.value.text


@pytest.mark.parametrize("place", ["http://127.0.0.1/", "amqps://127.0.0.1/", "amqp://h:x/"])
def test_a_place_that_is_none(place: str) -> None:
    with pytest.raises(Failure) as failure:
        Client(place)
    assert failure.value.code == skepclient.INVALID


@WAYS
def test_waiting_ends_in_time_and_may_go_on(skep: Skep, way: str) -> None:
    with_script(skep, "while ! test -e $DIR/go; do sleep 0.02; done; echo gone")
    with Client(where(skep, way)) as client:
        job = client.accepted("s", queue="work", wants_result=1)
        began = time.monotonic()
        with pytest.raises(Failure) as failure:
            client.wait(job, 300)
        assert failure.value.code == skepclient.TIMEOUT and 0.25 < time.monotonic() - began < 5
        with pytest.raises(Failure) as failure:
            client.wait(job, 0)
        assert failure.value.code == skepclient.TIMEOUT
        (skep.dir / "go").touch()
        assert client.wait(job, -1).data == b"gone\n"


@WAYS
def test_a_job_that_is_not_known(skep: Skep, way: str) -> None:
    with_echo(skep)
    with Client(where(skep, way)) as client, pytest.raises(Failure) as failure:
        client.wait("nobody's")
    assert failure.value.code == skepclient.NOT_FOUND


@WAYS
def test_a_thousand_at_once(skep: Skep, way: str) -> None:
    """One that is wrong is refused alone; each result is its own job's."""
    with_echo(skep)
    with Client(where(skep, way), 60000) as client:
        jobs = [submission("echo", b"\xff%d" % n, queue="work", wants_result=1) for n in range(1000)]
        jobs[500].retries = 5000
        jobs[700].body, jobs[700].body_bytes = b"l" * 100_000, 100_000
        jobs = client.submit_many(jobs)
        assert [n for n, job in enumerate(jobs) if job.error.code] == [500]
        assert jobs[500].error.code == skepclient.INVALID
        assert len({job.id for job in jobs}) == 1000
        for n, job in enumerate(jobs):
            if n != 500:
                assert client.wait(job).data == (b"l" * 100_000 if n == 700 else b"\xff%d" % n)


@WAYS
def test_repeating_an_id_is_safe(skep: Skep, way: str) -> None:
    skep.consume("work")
    skep.queue("work", type="classic", dedupe="yes")
    skep.handler("s", "echo run >> $RUNS; cat")
    running(skep)
    with Client(where(skep, way)) as client:
        first = client.accepted("s", b"x", queue="work", id="one", wants_result=1)
        assert client.wait(first).data == b"x"
        again = client.accepted("s", b"x", queue="work", id="one")
        assert again.existing == (way == "socket")
        last = client.accepted("s", b"y", queue="work", wants_result=1)
        assert client.wait(last).data == b"y"
    assert len(skep.runs()) == 2


def test_a_small_node_takes_small_jobs(skep: Skep) -> None:
    """The lines of many exceed what it takes in one request; each alone does not."""
    skep.consume("work", max_body=3000)
    skep.handler("echo", service=ECHO)
    skep.start()
    with Client(skep.socket) as client:
        jobs = client.submit_many([submission("echo", b"b" * n, queue="work") for n in (2000, 2000, 4000)])
        assert [job.error.code for job in jobs] == [skepclient.OK, skepclient.OK, skepclient.INVALID]


def test_a_node_that_goes_and_comes_back(skep: Skep) -> None:
    with_echo(skep)
    with Client(skep.socket) as client, fatal_pipe():
        client.accepted("echo", queue="work")
        skep.stop()
        job = client.submit("echo", b"late", queue="work")
        assert job.error.code == skepclient.UNREACHABLE
        skep.start()
        assert client.lib.skep_submit(client.handle, job) == skepclient.OK
        assert client.wait(job).data == b"late"


def test_a_broker_that_goes_and_comes_back(make_skep: Callable[..., Skep], own_broker: Broker) -> None:
    skep = with_echo(make_skep(own_broker))
    with Client(own_broker.url()) as client, fatal_pipe():
        client.accepted("echo", queue="work")
        own_broker.close()
        own_broker.rabbit.kill()
        for _ in range(2):
            began = time.monotonic()
            job = client.submit("echo", b"late", queue="work", id="late", wants_result=1)
            assert job.error.code == skepclient.UNREACHABLE and time.monotonic() - began < 10
        own_broker.rabbit.start()
        skep.wait_consuming("work")
        assert client.lib.skep_submit(client.handle, job) == skepclient.OK, job.error.text
        assert client.wait(job).data == b"late"


def test_many_are_told_when_the_connection_breaks_among_them(
    broker: Broker, proxy_to: Callable[[int], Proxy]
) -> None:
    """A proxy that passes nothing on any more, then breaks: none of them is said to have arrived."""
    broker.declare("work")
    proxy = proxy_to(broker.rabbit.port)
    with Client(broker.url(proxy.port)) as client, fatal_pipe():
        client.accepted("t", queue="work")
        proxy.freeze()
        breaker = threading.Timer(0.5, proxy.reset)
        breaker.start()
        jobs = client.submit_many([submission("t", b"x" * 1000, queue="work") for _ in range(500)])
        breaker.join()
        assert {job.error.code for job in jobs} == {skepclient.UNREACHABLE}
        proxy.thaw()
        again = client.submit_many(jobs)
        assert {job.error.code for job in again} == {skepclient.OK}
        assert {job.id for job in again} == {job.id for job in jobs}


def test_a_silent_broker_costs_the_timeout(broker: Broker, proxy_to: Callable[[int], Proxy]) -> None:
    broker.declare("work")
    proxy = proxy_to(broker.rabbit.port)
    with Client(broker.url(proxy.port), 700) as client:
        client.accepted("t", queue="work")
        proxy.freeze()
        began = time.monotonic()
        assert client.submit("t", queue="work").error.code == skepclient.TIMEOUT
        with pytest.raises(Failure) as failure:
            Client(broker.url(proxy.port), 700)
        assert failure.value.code == skepclient.TIMEOUT
        assert 1.3 < time.monotonic() - began < 10
        proxy.thaw()
        client.accepted("t", queue="work")


def test_a_broker_that_takes_nothing_is_full(own_broker: Broker) -> None:
    own_broker.declare("work")
    with Client(own_broker.url(), 1500) as client:
        own_broker.rabbit.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            wait_until(lambda: client.submit("t", queue="work").error.code == skepclient.FULL, "the alarm")
            assert client.submit("t", queue="work").error.code == skepclient.FULL
        finally:
            own_broker.rabbit.ctl("set_vm_memory_high_watermark", "0.4")
        wait_until(lambda: client.submit("t", queue="work").error.code == skepclient.OK, "room again")


def test_an_idle_connection_may_be_closed(broker: Broker) -> None:
    """Nobody is told: the next submit connects anew."""
    broker.declare("work")
    with Client(broker.url()) as client, fatal_pipe():
        client.accepted("t", queue="work")
        broker.close_all_connections()
        client.accepted("t", queue="work")
    wait_until(lambda: broker.depth("work") == 2, "both of them")


def test_waiting_is_told_when_results_may_be_lost(skep: Skep) -> None:
    with_script(skep, "while ! test -e $DIR/go; do sleep 0.02; done; echo gone")
    with Client(skep.broker.url()) as client, fatal_pipe():
        job = client.accepted("s", queue="work", wants_result=1)
        skep.broker.close_all_connections()
        with pytest.raises(Failure) as failure:
            client.wait(job)
        assert failure.value.code == skepclient.UNREACHABLE
        with pytest.raises(Failure) as failure:
            client.wait(job, 200)
        assert failure.value.code == skepclient.TIMEOUT
        skep.wait_consuming("work")
        (skep.dir / "go").touch()
        assert client.wait(job).data == b"gone\n"
        with Client(skep.socket) as other:
            assert other.wait(job).data == b"gone\n"


def test_one_too_large_for_the_broker_is_refused_alone(own_broker: Broker) -> None:
    rabbit = own_broker.rabbit
    rabbit.eval("application:set_env(rabbit, max_message_size, 100000).")
    try:
        own_broker.declare("work")
        with Client(own_broker.url(), 60000) as client:
            jobs = [submission("t", b"x" * (200_000 if n == 5 else 10), queue="work") for n in range(10)]
            jobs = client.submit_many(jobs)
            assert [n for n, job in enumerate(jobs) if job.error.code] == [5]
            assert jobs[5].error.code == skepclient.INVALID, jobs[5].error.text
    finally:
        rabbit.eval("application:set_env(rabbit, max_message_size, 134217728).")


@WAYS
def test_threads_have_a_client_each(skep: Skep, way: str) -> None:
    with_echo(skep)
    wrong: list[object] = []

    def work(name: int) -> None:
        with Client(where(skep, way)) as client:
            for n in range(20):
                body = b"%d %d" % (name, n)
                got = client.wait(client.submit("echo", body, queue="work", wants_result=1)).data
                if got != body:
                    wrong.append((body, got))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
