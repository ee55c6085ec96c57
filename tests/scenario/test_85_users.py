# SPDX-License-Identifier: MIT
"""As root and not; and secrets that nobody sees."""

import os
import pwd
from pathlib import Path

import pytest

from broker import Broker
from skep import Skep

root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
NOBODY = pwd.getpwnam("nobody")


def as_nobody(skep: Skep) -> None:
    for path in (skep.dir, skep.tmp, skep.runs_path, skep.dir / "state", skep.dir / "run"):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
    skep.prefix = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]


@root_only
def test_a_node_runs_unprivileged(skep: Skep, broker: Broker) -> None:
    skep.consume("work")
    skep.handler("who", "id -u; id -G")
    as_nobody(skep)
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", type="who", message_id="w")
    assert skep.wait_done("w")["result"].split() == [str(NOBODY.pw_uid), str(NOBODY.pw_gid)]
    assert skep.stop() == 0


@root_only
def test_an_unprivileged_node_keeps_its_state_in_the_xdg_directories(skep: Skep) -> None:
    skep.consume("work")
    skep.handler("who", "id -u")
    skep.set("daemon", state_dir="", runtime_dir="")
    as_nobody(skep)
    skep.environment |= {"XDG_STATE_HOME": str(skep.dir / "state"), "XDG_RUNTIME_DIR": str(skep.dir / "run")}
    skep.socket = str(skep.dir / "run/skep/skep.sock")
    skep.start()
    assert (skep.dir / "state/skep/skep.db").exists()
    assert skep.cli("ping").returncode == 0


@root_only
def test_the_workers_of_a_pool_run_as_its_user(skep: Skep, broker: Broker) -> None:
    skep.consume("work", user="nobody")
    skep.consume("other")
    skep.handler("who", "id -un; id -G; cat /proc/$PPID/status | grep ^Uid; echo $HOME")
    skep.start()
    skep.wait_consuming("work")
    skep.wait_consuming("other")
    for queue in ("work", "other"):
        broker.publish(queue, type="who", message_id=queue)
    lines = skep.wait_done("work")["result"].splitlines()
    assert lines[0] == "nobody" and "0" not in lines[1].split() and str(NOBODY.pw_uid) in lines[2], lines
    assert skep.wait_done("other")["result"].splitlines()[0] == "root"


@root_only
def test_store_courier_and_gateway_run_as_the_daemons_user(skep: Skep) -> None:
    skep.consume("work", user="root")
    skep.handler("who", "id -un")
    skep.set("daemon", user="nobody", state_dir=skep.dir / "new/state", runtime_dir=skep.dir / "new/run")
    skep.socket = str(skep.dir / "new/run/skep.sock")
    (skep.dir / "new").mkdir()
    skep.start()
    owners = {name: os.stat(f"/proc/{process.pid}").st_uid for name, process in skep.children().items()}
    status = {
        name: Path(f"/proc/{process.pid}/status").read_text().split("Uid:")[1].split()[0]
        for name, process in skep.children().items()
    }
    assert {status[name] for name in ("store", "courier", "gateway")} == {str(NOBODY.pw_uid)}, (owners, status)
    assert status["work/1"] == "0"
    assert skep.wait_done(skep.submit("who", queue="work"))["result"] == "root\n"
    os.kill(skep.pid("store"), 9)
    assert skep.wait_done(skep.submit("who", queue="work"))["result"] == "root\n"


def test_a_pool_with_a_user_needs_root_and_an_unknown_user_is_refused(skep: Skep) -> None:
    skep.consume("work", user="no-such-user-here")
    skep.handler("who", "id -un")
    skep.start(wait=False)
    assert skep.wait_exit(10) not in (0, None)
    assert "no-such-user-here" in skep.log()


def secret_places(skep: Skep) -> dict[str, bytes]:
    places = {"log": skep.log().encode()}
    for pid in skep.all_pids():
        for name in ("cmdline", "environ"):
            places[f"{pid}/{name}"] = Path(f"/proc/{pid}/{name}").read_bytes()
    return places


@pytest.mark.parametrize("how", ["url", "file"])
def test_the_password_is_in_no_log_command_line_or_environment(skep: Skep, broker: Broker, how: str) -> None:
    broker.rabbit.ctl("add_user", f"secretive-{how}-{skep.broker.vhost}", "opensesame")
    user = f"secretive-{how}-{skep.broker.vhost}"
    broker.rabbit.ctl("set_permissions", "-p", broker.vhost, user, ".*", ".*", ".*")
    skep.consume("work")
    skep.handler("spy", "env; cat /proc/$PPID/cmdline /proc/$PPID/environ; exec sleep 1")
    if how == "url":
        skep.set("broker", url=broker.url().replace("guest:guest", f"{user}:opensesame"))
    else:
        (skep.dir / "password").write_text("opensesame\nsecond line\n")
        (skep.dir / "password").chmod(0o600)
        skep.set("broker", url=broker.url().replace("guest:guest", user), password_file=skep.dir / "password")
    skep.set("daemon", log_level="debug")
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", type="spy", message_id="s")
    skep.wait_state("s", "running", "done")
    for place, content in secret_places(skep).items():
        assert b"opensesame" not in content, place
    skep.wait_done("s")
    assert b"opensesame" not in skep.result("s")
    for path in ("/v1/queues", "/v1/pools", "/healthz", "/v1/jobs"):
        assert b"opensesame" not in skep.get(path).body


@root_only
def test_handlers_of_another_user_cannot_reach_the_database_or_forge_outcomes(skep: Skep, broker: Broker) -> None:
    skep.consume("work", user="nobody")
    skep.handler(
        "nosy",
        'cat "$DIR"/state/skep.db* >/dev/null 2>&1 && echo read\n'
        'for s in "$DIR"/run/store-*.sock; do\n'
        "/usr/bin/python3 - \"$s\" <<'PY'\n"
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(3)\n"
        "try:\n"
        "    s.connect(sys.argv[1]); s.sendall(b'\\x00' * 8); print('answered' if s.recv(10) else 'closed')\n"
        "except OSError as e: print('refused')\n"
        "PY\n"
        "done",
    )
    (skep.dir / "state").chmod(0o700)
    skep.start()
    skep.wait_consuming("work")
    broker.publish("work", type="nosy", message_id="n")
    result = skep.wait_done("n")["result"]
    assert "read" not in result.split() and "answered" not in result and result.split(), result
    assert skep.healthy() and skep.wait_done(skep.submit("nosy", queue="work"))
