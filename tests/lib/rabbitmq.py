#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A private, throwaway RabbitMQ node on loopback, as root or not.

As a library: Rabbit(directory).start(); the node dies with the process that started it. As a command:

    rabbitmq.py start DIR [--owner PID]   start it (again), print AMQP_URL=... and PID=...
    rabbitmq.py stop DIR                  stop it in order; nothing is left but DIR
    rabbitmq.py kill DIR                  kill -9, as a crash; `start` brings it back with its data
    rabbitmq.py url DIR [VHOST]
    rabbitmq.py ctl DIR ARGUMENTS...      rabbitmqctl
    rabbitmq.py env DIR COMMAND...        any command with the node's environment

Everything is its own: node name, ports, epmd, cookie, directories; a RabbitMQ of the machine is never
met. With --owner the node ends when that process does.

What makes it start in seconds: the node boots from a shadow home that has only the core applications on
the plugin path (most of a boot is the search through modules), and users, vhosts and permissions come
from a definitions file rather than from many runs of rabbitmqctl.
"""

import argparse
import base64
import fcntl
import glob
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

USER = "guest"
PASSWORD = "guest"
SPARE_VHOSTS = 8  # made at boot for tests: t0, t1, ...
VHOST_BATCH = 16  # and so many more at a time, when those are used up
START_SECONDS = 60

class RabbitError(Exception):
    """The node did not do as asked; the text has the end of its log."""


def installed_home() -> Path:
    """Where RabbitMQ is installed, whatever its version."""
    homes = sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*"))
    if not homes:
        raise RabbitError("rabbitmq-server is not installed (no /usr/lib/rabbitmq/lib/rabbitmq_server-*)")
    return Path(homes[-1])


def core_applications(plugins: Path) -> dict[str, Path]:
    """The broker and what it is made of: everything that `rabbit` names in its .app file, and so on."""
    found: dict[str, Path] = {}
    wanted = ["rabbit", "rabbitmq_prelaunch"]
    while wanted:
        name = wanted.pop()
        for app in plugins.glob(f"{name}-[0-9]*/ebin/{name}.app"):
            if name not in found:
                found[name] = app.parent.parent
                for names in re.findall(r"applications,\s*\[([^\]]*)\]", app.read_text()):
                    wanted += re.findall(r"\w+", names)
    return found


def free_ports(count: int) -> list[int]:
    """Ports below the range that the kernel hands out by itself, so that nobody gets one meanwhile."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def hash_password(password: str) -> str:
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def is_alive(pid: int) -> bool:
    """Runs, and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Rabbit:
    """One node. `directory` keeps its data and ports between starts."""

    def __init__(self, directory: str | os.PathLike, vhosts: int = SPARE_VHOSTS, config: str = ""):
        self.dir = Path(directory).absolute()
        self.spare_vhosts = vhosts
        self.extra_config = config
        self.server: subprocess.Popen | None = None
        self.epmd: subprocess.Popen | None = None
        self._state = self.dir / "node.json"
        if not self._state.exists():
            self._prepare()
        state = json.loads(self._state.read_text())
        self.port: int = state["port"]
        self.dist_port: int = state["dist_port"]
        self.epmd_port: int = state["epmd_port"]
        self.ctl_port: int = state["ctl_port"]
        self.node = f"skeptest{self.port}@localhost"

    # --- preparation ---------------------------------------------------------------------------

    def _prepare(self) -> None:
        self.dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("mnesia", "log", "gen", "home/sbin", "home/plugins"):
            (self.dir / name).mkdir(parents=True, exist_ok=True)
        cookie = self.dir / ".erlang.cookie"
        cookie.write_text(os.urandom(16).hex())
        cookie.chmod(0o400)
        self._prepare_home()
        self._write_definitions()
        ports = dict(zip(("port", "dist_port", "epmd_port", "ctl_port"), free_ports(4)))
        (self.dir / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{ports['port']}\n"
            "log.console = false\n"
            "log.file.level = warning\n"
            "disk_free_limit.absolute = 64MB\n"
            f"load_definitions = {self.dir}/definitions.json\n" + self.extra_config + "\n"
        )
        (self.dir / "enabled_plugins").write_text("[].\n")
        self._state.write_text(json.dumps(ports))

    def _prepare_home(self) -> None:
        real, shadow = installed_home(), self.dir / "home"
        for script in (real / "sbin").iterdir():
            shutil.copy(script, shadow / "sbin")
        (shadow / "escript").symlink_to(real / "escript")
        for path in core_applications(real / "plugins").values():
            (shadow / "plugins" / path.name).symlink_to(path)

    def _write_definitions(self) -> None:
        vhosts = ["/"] + [f"t{i}" for i in range(self.spare_vhosts)]
        grant = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [
                {
                    "name": USER,
                    "password_hash": hash_password(PASSWORD),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "administrator",
                }
            ],
            "vhosts": [{"name": vhost} for vhost in vhosts],
            "permissions": [{"vhost": vhost, **grant} for vhost in vhosts],
        }
        (self.dir / "definitions.json").write_text(json.dumps(definitions))

    def environment(self) -> dict[str, str]:
        """For the server and for every tool that talks to it."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR", "TZ")}
        return kept | {
            "HOME": str(self.dir),
            "LC_ALL": "C.UTF-8",
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "RABBITMQ_CTL_DIST_PORT_MIN": str(self.ctl_port),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(self.ctl_port + 20),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": f"{self.dir}/mnesia",
            "RABBITMQ_LOG_BASE": f"{self.dir}/log",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{self.dir}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{self.dir}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.dir}/enabled_plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{self.dir}/gen",
            "RABBITMQ_PID_FILE": f"{self.dir}/pid",
            # The server script execs the VM instead of waiting for it: one pid, one parent.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            # The distribution would otherwise listen on every address.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }

    # --- life ----------------------------------------------------------------------------------

    def start(self, wait: bool = True) -> "Rabbit":
        if self.epmd is None or self.epmd.poll() is not None:
            self.epmd = self._spawn(["epmd", "-port", str(self.epmd_port), "-address", "127.0.0.1"])
        (self.dir / "pid").unlink(missing_ok=True)
        self.server = self._spawn([str(self.dir / "home/sbin/rabbitmq-server")])
        if wait:
            self.wait_ready()
        return self

    def _spawn(self, command: list[str]) -> subprocess.Popen:
        """A child that is killed when the thread that started it ends, in a session of its own so that
        no Ctrl-C reaches it before the tests are done with it."""
        with open(self.dir / "log" / "output", "ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                cwd=self.dir,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def answers(self) -> bool:
        """Does the AMQP handshake answer?"""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
            sock.settimeout(2)
            sock.sendall(b"AMQP\x00\x00\x09\x01")
            return sock.recv(8)[:1] == b"\x01"
        return False

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not self.answers():
            if self.server is not None and self.server.poll() is not None:
                raise RabbitError(f"the node ended with status {self.server.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise RabbitError(f"the node did not answer within {seconds} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Orderly, data kept; nothing runs afterwards, epmd included."""
        self._end_server(signal.SIGTERM)
        self._end(self.epmd, signal.SIGTERM)
        self.epmd = None

    def kill(self) -> None:
        """As a crash. epmd goes on, as it would.

        The tables of quorum queues are written out first: RabbitMQ 3.10 saves the name of a new quorum queue
        only some time after it has confirmed messages in it, and one that is killed before begins that
        queue anew, empty ("configured member was not found, starting member as a new one")."""
        self.eval("lists:foreach(fun dets:sync/1, dets:all()).")
        self._end_server(signal.SIGKILL)

    def _end_server(self, how: int) -> None:
        helpers = descendants(self.server.pid) if self.server else []
        self._end(self.server, how)
        self.server = None
        if not wait_gone(helpers, 10):
            for pid in helpers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _end(child: subprocess.Popen | None, how: int) -> None:
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGCONT)
        child.send_signal(how)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    # --- use -----------------------------------------------------------------------------------

    def url(self, vhost: str = "/", port: int | None = None) -> str:
        path = "" if vhost == "/" else vhost
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{port or self.port}/{path}"

    def run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            env=self.environment(),
            cwd=self.dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise RabbitError(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def ctl(self, *arguments: str) -> str:
        return self.run([str(self.dir / "home/sbin/rabbitmqctl"), "-n", self.node, "-q", *arguments])

    def eval(self, expression: str) -> str:
        return self.ctl("eval", expression)

    def add_vhosts(self, names: list[str]) -> None:
        """Many in one call: rabbitmqctl costs half a second each."""
        listed = ",".join(f'<<"{name}">>' for name in names)
        self.eval(
            "lists:foreach(fun(V) -> "
            'ok = rabbit_vhost:put_vhost(V, <<"">>, <<"">>, false, <<"tests">>), '
            f'ok = rabbit_auth_backend_internal:set_permissions(<<"{USER}">>, V, '
            '<<".*">>, <<".*">>, <<".*">>, <<"tests">>) '
            f"end, [{listed}])."
        )

    def take_vhost(self) -> str:
        """The name of a vhost that nobody has had yet; safe between processes."""
        with open(self.dir / "vhosts", "a+") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            ledger.seek(0)
            taken = len(ledger.readlines())
            beyond = taken - self.spare_vhosts
            if beyond >= 0 and beyond % VHOST_BATCH == 0:
                self.add_vhosts([f"t{taken + i}" for i in range(VHOST_BATCH)])
            ledger.write(f"t{taken}\n")
        return f"t{taken}"

    def log_tail(self, lines: int = 40) -> str:
        text = ""
        for path in sorted((self.dir / "log").iterdir()):
            if path.is_file():
                text += "".join(path.read_text(errors="replace").splitlines(keepends=True)[-lines:])
        return text


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, by one reading of /proc."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError, IndexError):
                stat = Path(f"/proc/{entry}/stat").read_text()
                parents[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return found


# --- the command -----------------------------------------------------------------------------------


def keep(directory: str, owner: int) -> int:
    """Runs a node in the foreground until SIGTERM, its own end, or the end of `owner` (0: nobody). It is
    the process behind `start`; its pid is in DIR/keeper."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    rabbit = Rabbit(directory)
    rabbit.start()
    (rabbit.dir / "keeper").write_text(f"{os.getpid()} {rabbit.server.pid}\n")
    print(f"AMQP_URL={rabbit.url()}\nPID={rabbit.server.pid}", flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    watched = [wake_read, os.pidfd_open(rabbit.server.pid)]
    if owner:
        watched.append(os.pidfd_open(owner))
    select.select(watched, [], [])
    rabbit.stop()
    (rabbit.dir / "keeper").unlink(missing_ok=True)
    return 0


def keeper_pids(directory: str) -> list[int]:
    try:
        pids = [int(word) for word in (Path(directory) / "keeper").read_text().split()]
    except OSError:
        return []
    return pids if is_alive(pids[0]) else []


def command_start(directory: str, owner: int) -> int:
    if keeper_pids(directory):
        raise RabbitError(f"it runs already: {directory}")
    Path(directory).mkdir(parents=True, exist_ok=True, mode=0o700)
    log = Path(directory) / "keeper.log"
    with open(log, "ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "keep", directory, "--owner", str(owner)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
    told = keeper.stdout.read().decode()
    if not told:
        raise RabbitError(f"it did not start:\n{log.read_text()}")
    sys.stdout.write(told)
    return 0


def command_end(directory: str, how: int) -> int:
    pids = keeper_pids(directory)
    if not pids:
        raise RabbitError(f"it does not run: {directory}")
    keeper, server = pids
    os.kill(server if how == signal.SIGKILL else keeper, how)
    if not wait_gone(pids, 60):
        raise RabbitError(f"it did not end within 60 s: {directory}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    for name in ("start", "stop", "kill", "url", "ctl", "env", "keep"):
        action = actions.add_parser(name)
        action.add_argument("directory")
        if name in ("start", "keep"):
            action.add_argument("--owner", type=int, default=0)
        elif name in ("url", "ctl", "env"):
            action.add_argument("rest", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    try:
        if args.action == "start":
            return command_start(args.directory, args.owner)
        if args.action == "keep":
            return keep(args.directory, args.owner)
        if args.action in ("stop", "kill"):
            return command_end(args.directory, signal.SIGTERM if args.action == "stop" else signal.SIGKILL)
        rabbit = Rabbit(args.directory)
        if args.action == "url":
            print(rabbit.url(*args.rest))
        elif args.action == "ctl":
            sys.stdout.write(rabbit.ctl(*args.rest))
        else:
            os.execvpe(args.rest[0], args.rest, rabbit.environment())
        return 0
    except RabbitError as error:
        print(f"rabbitmq.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
