# SPDX-License-Identifier: MIT
"""libskep: services in C, and the library as it is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from skep import ROOT, Skep
from waiting import stays, wait_until

CC = ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-D_POSIX_C_SOURCE=200809L"]
EXAMPLE = ROOT / "examples/services/skep.c"
CLIENT = ROOT / "examples/clients/submit.c"

# The body is a path: runs until it exists, or until it is cancelled.
HOLDER = """
#include <skep/handler.h>
#include <time.h>
#include <unistd.h>
static int run(struct skep_job *job, void *arg)
{
    const struct timespec moment = {0, 5000000};
    (void)arg;
    skep_progress(job, 5, "holding");
    while (access((const char *)skep_job_body(job, NULL), F_OK) != 0) {
        if (skep_job_cancelled(job))
            return skep_fail(job, SKEP_RETRY, "cancelled");
        nanosleep(&moment, NULL);
    }
    skep_log(job, "%s of %s", skep_job_id(job), skep_job_queue(job));
    return skep_done(job, "held", 4);
}
int main(void)
{
    const struct skep_handler h = {.run = run, .cancels = 1, .concurrency = CONCURRENCY};
    return skep_serve(&h) < 0;
}
"""


def build(node: Skep, source: Path, *options: str) -> Path:
    """With the static library, as a service would be: libc is all that it needs."""
    program = node.dir / source.stem
    library = ROOT / "build/lib/libskep.a"
    subprocess.run([*CC, f"-I{ROOT}/include", *options, "-o", program, source, library], check=True)
    return program


def holder(node: Skep, concurrency: int, **options: object) -> None:
    source = node.dir / "holder.c"
    source.write_text(HOLDER)
    node.consume("work", prefetch=20)
    program = build(node, source, f"-DCONCURRENCY={concurrency}")
    node.handler("s", service=program, concurrency=concurrency, backoff="fixed 1h", **options)
    node.start()
    node.wait_consuming("work")


def submit(node: Skep, body: str) -> str:
    return node.submit("s", body, queue="work")


@pytest.mark.parametrize(
    "body",
    [b"", b"text \xc3\xa9\n\"\\", b"\0\xff\n" * 999, b"x" * 1_500_000],
    ids=["empty", "text", "binary", "large"],
)
def test_the_example_carries_any_body(skep: Skep, body: bytes) -> None:
    skep.consume("work", prefetch=20)
    skep.handler("s", service=build(skep, EXAMPLE), max_result=2_000_000)
    skep.start()
    answer = skep.http("POST", "/v1/jobs?type=s&queue=work", body, {"Content-Type": "application/octet-stream"})
    assert answer.status == 201, answer.body
    job = answer.json()["id"]
    skep.wait_state(job, "done")
    assert skep.http("GET", f"/v1/jobs/{job}/result").body == body


def test_four_run_at_once_and_a_fifth_waits(skep: Skep) -> None:
    holder(skep, 4)
    go = skep.dir / "go"
    jobs = [submit(skep, str(go)) for _ in range(5)]
    wait_until(lambda: sum(skep.job(job)["state"] == "running" for job in jobs) == 4, "four that run")
    go.touch()
    for job in jobs:
        skep.wait_state(job, "done")
    assert skep.http("GET", f"/v1/jobs/{jobs[0]}/logs").body.decode() == f"{jobs[0]} of work\n"


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_run_is_cancelled_and_its_process_lives(skep: Skep, concurrency: int) -> None:
    holder(skep, concurrency)
    job = submit(skep, "/nonexistent/go")
    wait_until(lambda: skep.job(job).get("running", {}).get("note") == "holding", "its progress")
    assert skep.http("POST", f"/v1/jobs/{job}/cancel").status in (200, 202)
    skep.wait_state(job, "cancelled")
    go = skep.dir / "go"
    go.touch()
    skep.wait_state(submit(skep, str(go)), "done")
    assert "is started again" not in skep.log()


def test_pings_are_answered_during_a_long_job(skep: Skep) -> None:
    """A service that did not would be killed after two of them."""
    holder(skep, 1, ping="100ms")
    go = skep.dir / "go"
    job = submit(skep, str(go))
    skep.wait_state(job, "running")
    stays(lambda: skep.job(job)["state"] == "running", "ten pings long", 1)
    go.touch()
    assert len(skep.wait_state(job, "done")["attempts"]) == 1


def test_it_is_installed_whole(skep: Skep) -> None:
    """Programs are built by pkg-config's word alone, and both kinds of the library start."""
    tree, environment = skep.dir / "tree", {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    subprocess.run(["make", "-C", ROOT, "install", f"DESTDIR={tree}"], env=environment, check=True, capture_output=True)
    lib = tree / "usr/local/lib"
    environment |= {"PKG_CONFIG_PATH": str(lib / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(tree)}

    def flags(*options: str, of: str = "skep") -> list[str]:
        command = ["pkg-config", *options, of]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()

    shared, static = skep.dir / "shared", skep.dir / "static"
    subprocess.run([*CC, "-o", shared, EXAMPLE, *flags("--cflags", "--libs"), f"-Wl,-rpath,{lib}"], check=True)
    words = ["-l:libskep.a" if word == "-lskep" else word for word in flags("--static", "--cflags", "--libs")]
    subprocess.run([*CC, "-o", static, EXAMPLE, "-Wl,--as-needed", *words], check=True)
    for program in (shared, static):
        # Without skep at descriptor 3 a service says so by its exit code, here the example's.
        assert subprocess.run([program], timeout=20, check=False).returncode == 1
    for kind, client in (("shared", skep.dir / "client-shared"), ("static", skep.dir / "client-static")):
        words = flags("--cflags", "--libs", *(["--static"] if kind == "static" else []), of="skep-client")
        if kind == "static":
            words = ["-l:libskep-client.a" if word == "-lskep-client" else word for word in words]
        subprocess.run([*CC, "-o", client, CLIENT, *words, f"-Wl,-rpath,{lib}"], check=True)
        done = subprocess.run([client, "/nowhere", "q", "t", ""], timeout=20, check=False, capture_output=True)
        assert done.returncode == 1 and b"nothing answers on '/nowhere'" in done.stderr
    linked = subprocess.run(["readelf", "-d", static], check=True, capture_output=True, text=True).stdout
    assert [line.split("[")[1] for line in linked.splitlines() if "(NEEDED)" in line] == ["libc.so.6]"]
    subprocess.run(["make", "-C", ROOT, "uninstall", f"DESTDIR={tree}"], env=environment, check=True, capture_output=True)
    assert not any("skep" in path.name and path.is_file() for path in lib.rglob("*"))


@pytest.mark.parametrize("name, header", [("libskep", "handler.h"), ("libskep-client", "client.h")])
def test_only_its_own_names_are_seen(name: str, header: str) -> None:
    lib = ROOT / "build/lib"
    declared = set(re.findall(r"^SKEP_API [^(]*?(skep_\w+)\(", (ROOT / "include/skep" / header).read_text(), re.M))
    shared = subprocess.run(["nm", "-D", "--defined-only", lib / f"{name}.so"], capture_output=True, text=True, check=True)
    static = subprocess.run(["nm", "-g", "--defined-only", lib / f"{name}.a"], capture_output=True, text=True, check=True)
    for listing in (shared.stdout, static.stdout):
        names = {line.split()[2].split("@")[0] for line in listing.splitlines() if len(line.split()) == 3}
        assert names - {"SKEP_0"} == declared
    dynamic = subprocess.run(["readelf", "-d", lib / f"{name}.so"], capture_output=True, text=True, check=True).stdout
    assert f"Library soname: [{name}.so.0]" in dynamic


def test_both_may_be_in_one_program(skep: Skep) -> None:
    program, source, lib = skep.dir / "both", skep.dir / "both.c", ROOT / "build/lib"
    source.write_text(
        "#include <skep/handler.h>\n#include <skep/client.h>\n"
        "int main(void) { struct skep_handler h = {0};"
        ' return skep_client_open("/nowhere", 0, 0) != 0 || skep_serve(&h) != -22; }\n'
    )
    externals = ["-lrabbitmq", "-lcurl", "-linih", "-lev", "-lcjson", "-lm", "-pthread"]
    for libraries in (
        [lib / "libskep.a", lib / "libskep-client.a", *externals],
        [lib / "libskep.so", lib / "libskep-client.so", f"-Wl,-rpath,{lib}"],
    ):
        subprocess.run([*CC, f"-I{ROOT}/include", "-o", program, source, *libraries], check=True)
        assert subprocess.run([program], timeout=20, check=False).returncode == 0


def test_the_programs_of_its_manual_page_compile(skep: Skep) -> None:
    page = (ROOT / "docs/man/libskep.3").read_text()
    programs = [block for block in re.findall(r"^\.Bd.*\n([^.].*(?:\n[^.].*|\n)*)\n\.Ed", page, re.M) if "main" in block]
    assert len(programs) == 2
    for program in programs:
        source = skep.dir / "program.c"
        source.write_text(program + "\n")
        subprocess.run([*CC, f"-I{ROOT}/include", "-fsyntax-only", source], check=True)


def test_its_headers_stand_alone_in_cpp() -> None:
    if not shutil.which("c++"):
        pytest.skip("there is no C++ compiler here: the headers were not tried with one")
    for header in (ROOT / "include/skep").glob("*.h"):
        subprocess.run(
            ["c++", "-x", "c++", "-std=c++11", "-pedantic", "-Wall", "-Werror", "-fsyntax-only", f"-I{ROOT}/include", header],
            check=True,
        )
