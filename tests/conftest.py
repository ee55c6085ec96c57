# SPDX-License-Identifier: MIT
"""Fixtures of the scenario and crash suites.

One private RabbitMQ serves the whole run: the process that starts pytest starts it before there are any
xdist workers, and each test gets a vhost of its own. Tests that stop, kill or alarm the broker ask for
`own_broker`: a second node, theirs alone, in one xdist group so that they follow one another.
"""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "lib"))

from broker import Broker  # noqa: E402
from embedded import MODES, Embedded  # noqa: E402
from proxy import Proxy  # noqa: E402
from rabbitmq import Rabbit  # noqa: E402
from skep import BUILD, Skep  # noqa: E402

RUN_DIR = "SKEP_TEST_RUN_DIR"
node: Rabbit | None = None


def pytest_configure(config: pytest.Config) -> None:
    global node
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # brokers that go away are the subject here
    config.addinivalue_line("markers", "own_broker: stops, kills or alarms the broker")
    if RUN_DIR in os.environ or config.option.collectonly:
        return
    directory = tempfile.mkdtemp(prefix="skep-tests-")
    os.chmod(directory, 0o755)
    os.environ[RUN_DIR] = directory
    node = Rabbit(Path(directory, "rabbit")).start(wait=False)


def pytest_unconfigure() -> None:
    if node is not None:
        node.stop()
        if "SKEP_TEST_KEEP" not in os.environ:
            shutil.rmtree(os.environ[RUN_DIR], ignore_errors=True)


def item_mode(item: pytest.Item) -> str | None:
    return getattr(item, "callspec", None) and item.callspec.params.get("mode")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "own_broker" in getattr(item, "fixturenames", ()) and item_mode(item) != "embedded":
            item.add_marker(pytest.mark.xdist_group("own_broker"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = (yield).get_result()
    if report.failed:
        item.failed_somewhere = True


@pytest.fixture(scope="session")
def shared_rabbit() -> Rabbit:
    rabbit = Rabbit(Path(os.environ[RUN_DIR], "rabbit"))
    rabbit.wait_ready()
    return rabbit


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Broker | Embedded]:
    """A fresh vhost of the shared node; nothing but the node itself where the test's mode is embedded."""
    if "mode" in request.fixturenames and request.getfixturevalue("mode") == "embedded":
        yield Embedded()
        return
    rabbit = request.getfixturevalue("shared_rabbit")
    made = Broker(rabbit, rabbit.take_vhost())
    yield made
    made.close()


@pytest.fixture(scope="session")
def disturbable_rabbit() -> Iterator[Rabbit]:
    rabbit = Rabbit(tempfile.mkdtemp(prefix="rabbit-", dir=os.environ[RUN_DIR]), vhosts=16).start()
    yield rabbit
    rabbit.stop()


@pytest.fixture
def own_broker(request: pytest.FixtureRequest) -> Iterator[Broker | Embedded]:
    """A vhost of a node that this test may do anything to; it runs again for the next one."""
    if "mode" in request.fixturenames and request.getfixturevalue("mode") == "embedded":
        yield Embedded()
        return
    rabbit = request.getfixturevalue("disturbable_rabbit")
    if rabbit.server is None:
        rabbit.start()
    made = Broker(rabbit, rabbit.take_vhost())
    yield made
    made.close()


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Where jobs wait: in the node's own store, or in a queue of that type at a broker."""
    return request.param


@pytest.fixture
def chosen(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """chosen("quorum"): the mode of a test that runs in each, and that one for all others."""
    return lambda other: request.getfixturevalue("mode") if "mode" in request.fixturenames else other


@pytest.fixture(params=["quorum", "classic"])
def queue_type(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def node_dir() -> Iterator[Path]:
    """Short, since unix sockets live in it; readable by handlers of other users."""
    directory = Path(tempfile.mkdtemp(prefix="n-", dir=os.environ[RUN_DIR]))
    directory.chmod(0o755)
    yield directory


@pytest.fixture
def make_skep(request: pytest.FixtureRequest, node_dir: Path) -> Iterator[Callable[..., Skep]]:
    """make_skep(broker, **fields of Skep): a node that is not started yet; stopped after the test."""
    made: list[Skep] = []

    def make(broker: Broker | Embedded, **fields: object) -> Skep:
        directory = node_dir / str(len(made))
        directory.mkdir()
        made.append(Skep(directory, broker, **fields))
        return made[-1]

    yield make
    left: list[AssertionError] = []
    for skep in made:
        try:
            skep.clean_up()
        except AssertionError as error:
            left.append(error)
    if left or getattr(request.node, "failed_somewhere", False):
        for skep in made:
            if skep.process is not None:
                skep.show()
    if left:
        raise left[0]


@pytest.fixture
def skep(make_skep: Callable[..., Skep], broker: Broker | Embedded) -> Skep:
    """A node of the release build in the test's mode, not started: a test adds to it first."""
    return make_skep(broker)


@pytest.fixture
def faulty(make_skep: Callable[..., Skep], broker: Broker | Embedded) -> Skep:
    """A node of the build with fault points; set environment["SKEP_FAULT"] before its start."""
    made = make_skep(broker, build=BUILD / "fault/bin")
    (made.dir / "fired").mkdir()
    (made.dir / "fired").chmod(0o777)
    made.environment["SKEP_FAULT_DIR"] = str(made.dir / "fired")
    return made


@pytest.fixture
def proxy_to() -> Iterator[Callable[[int], Proxy]]:
    made: list[Proxy] = []

    def make(port: int) -> Proxy:
        made.append(Proxy(port))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()
