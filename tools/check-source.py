#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Holds what no compiler does: who may include whom, banned functions, sizes, tables against documents.

    check-source.py               the tree; complaints one a line, exit 1 if there are any
    check-source.py --self-test   each check must complain about a tree that breaks it

A function above 60 lines or a file above 550 needs a comment that says why: `check-source: long, REASON`, in
the function, or in the first 30 lines of the file.
"""

import argparse
import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LONGEST_FUNCTION = 60
LONGEST_FILE = 550  # "about 500"
LONGEST_TEST = 1000  # a test is cases, one after the other
LONGEST_LINE = 120  # 100 is aimed at (.editorconfig)
EXCEPTION = "check-source: long, "

# What each folder may include beside itself, by prefix. The first prefix that fits a file counts.
LAW = {
    "include/": (),
    "lib/base/": (),
    "lib/ipc/": ("lib/base/",),
    "lib/job/": ("lib/base/",),
    "lib/board/": ("lib/base/",),
    "lib/scale/": ("lib/base/",),
    "lib/db/": ("lib/base/",),
    "lib/conf/": ("lib/base/", "lib/job/"),
    "lib/amqp/": ("lib/base/", "lib/job/", "lib/conf/"),
    "client/libskep/": ("lib/", "client/"),
    "client/": ("lib/base/", "lib/job/", "lib/conf/"),
    "tools/": ("lib/base/", "lib/conf/", "lib/scale/"),
    "daemon/worker/": ("lib/", "daemon/*"),
    "daemon/store/": ("lib/", "daemon/*"),
    "daemon/courier/": ("lib/", "daemon/*"),
    "daemon/gateway/": ("lib/", "daemon/*"),
    "daemon/supervisor/": ("lib/", "daemon/*"),
    "daemon/": ("lib/",),
    "tests/": ("lib/", "daemon/", "client/", "tools/"),
    "bench/": ("lib/",),
}

# One includer per dependency; (header, where).
OWNERS = (
    (r"sqlite3\.h", r"lib/db/|bench/rows\.c"),
    (r"(rabbitmq-c/)?amqp\w*\.h", r"lib/amqp/|bench/"),
    (r"openssl/.*", r"lib/amqp/"),
    (r"ev\.h", r"lib/base/loop\.c"),
    (r"cjson/.*|cJSON\.h", r"lib/base/json\.c"),
    (r"microhttpd\.h", r"daemon/gateway/"),
    (r"curl/.*", r"client/"),
    (r"(ncursesw?/)?n?curses\.h|term\.h", r"client/curses\.c"),
    (r"ini\.h", r"lib/conf/"),
    (r"systemd/.*", r"(nowhere)"),
    (r"cmocka\.h", r"tests/"),
)

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.$@~-])/(home|Users)/[a-z]\w*")
C_FILES = (".c", ".h")

Complaint = tuple[str, int, str]


class Tree:
    """The files of a checkout, by path."""

    def __init__(self, files: dict[str, str]):
        self.files = files

    @classmethod
    def of_checkout(cls, root: Path) -> "Tree":
        files = {}
        for path in cls.paths(root):
            try:
                files[path] = (root / path).read_text()
            except UnicodeDecodeError:
                continue
        return cls(files)

    @staticmethod
    def paths(root: Path) -> list[str]:
        if (root / ".git").exists():
            listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True)
            if listed.returncode == 0:
                return [path for path in listed.stdout.split("\0") if path and (root / path).is_file()]
        found = []
        for directory, below, names in os.walk(root):
            below[:] = [name for name in below if name not in (".git", "build", "__pycache__")]
            found += [os.path.relpath(os.path.join(directory, name), root) for name in names]
        return found

    def ending(self, *suffixes: str) -> Iterator[tuple[str, list[str]]]:
        for path, text in sorted(self.files.items()):
            if path.endswith(suffixes):
                yield path, text.split("\n")

    def rows(self, path: str, macro: str) -> list[list[str]]:
        """The arguments of each row MACRO(...) of a .def table, as they are written."""
        found = []
        for match in re.finditer(rf"^{macro}\((.*)\)", self.files.get(path, ""), re.M):
            found.append(re.findall(r'\s*("(?:[^"\\]|\\.)*"|[^,"\s]+)\s*(?:,|$)', match[1]))
        return found


def blank_comments(text: str) -> str:
    """C with comments and the insides of strings blanked, every line in its place."""

    def blank(match: re.Match) -> str:
        word = match[0]
        if word[0] in "\"'":
            return word[0] + " " * (len(word) - 2) + word[0]
        return re.sub(r"[^\n]", " ", word)

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', blank, text, flags=re.S)


# --- includes ---------------------------------------------------------------------------------------


def allowed(path: str, target: str) -> bool:
    """May `path` include `target`, both from the top of the tree?"""
    for own, others in LAW.items():
        if path.startswith(own):
            break
    else:
        return False
    if target.startswith("include/") or os.path.dirname(target) == os.path.dirname(path):
        return True
    if own not in ("lib/", "daemon/") and target.startswith(own):
        return True
    for other in others:
        if other == "daemon/*" and re.fullmatch(r"daemon/[^/]+", target):
            return True
        if target.startswith(other) and other != "daemon/*":
            return True
    return False


def check_includes(tree: Tree) -> Iterator[Complaint]:
    for path, lines in tree.ending(*C_FILES):
        for number, line in enumerate(lines, 1):
            ours = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            theirs = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if ours and not allowed(path, ours[1]):
                yield path, number, f"may not include {ours[1]}: includes go only to the left (see LAW)"
            for header, owner in OWNERS if theirs else ():
                if re.fullmatch(header, theirs[1]) and not re.match(owner, path):
                    yield path, number, f"<{theirs[1]}> has one includer, and it is not this file"


def check_guards(tree: Tree) -> Iterator[Complaint]:
    for path, lines in tree.ending(".h"):
        name = re.sub(r"^(lib|include/skep)/", "", path)
        names = [name, name.removeprefix("daemon/"), re.sub(r"^tests/\w+/", "tests/", name)]
        words = [re.sub(r"\W", "_", name).upper() for name in names]
        if not any(f"#ifndef SKEP_{word}" in lines and f"#define SKEP_{word}" in lines for word in words):
            yield path, 1, f"its guard is to be SKEP_{words[0]}"


# --- functions and words ------------------------------------------------------------------------------


def check_banned(tree: Tree) -> Iterator[Complaint]:
    home = "lib/base/banned.h"
    names = re.findall(r"#define (\w+)\(\.\.\.\) BANNED", tree.files.get(home, ""))
    if not names:
        yield home, 1, "bans nothing"
        return
    call = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
    for path, _ in tree.ending(*C_FILES):
        for number, line in enumerate(blank_comments(tree.files[path]).split("\n"), 1):
            match = call.search(line)
            if match and path != home:
                yield path, number, f"{match[1]}() is banned: see {home}"


def check_silence(tree: Tree) -> Iterator[Complaint]:
    """lib/ neither logs nor ends the process; fatal is for processes of the daemon."""
    call = re.compile(r"(?<!\w)(log_(?:error|warn|info|debug|write|fatal)|_?exit|abort)\s*\(")
    for path, _ in tree.ending(*C_FILES):
        if not path.startswith("lib/") or path.startswith("lib/base/"):
            continue
        for number, line in enumerate(blank_comments(tree.files[path]).split("\n"), 1):
            match = call.search(line)
            if match:
                yield path, number, f"lib/ returns an err, it does not call {match[1]}()"


def c_functions(text: str) -> Iterator[tuple[int, int]]:
    """First and last line of each function, the line of its brace counted as the first."""
    start = 0
    for number, line in enumerate(blank_comments(text).split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            yield start, number
            start = 0


def python_functions(text: str) -> Iterator[tuple[int, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno or node.lineno


def check_sizes(tree: Tree) -> Iterator[Complaint]:
    for path, lines in tree.ending(".c", ".h", ".py", ".sh"):
        most = LONGEST_TEST if path.startswith("tests/") else LONGEST_FILE
        if len(lines) - 1 > most and not any(EXCEPTION in line for line in lines[:30]):
            yield path, 1, f"has {len(lines) - 1} lines; {most} are the limit, or a comment that says why"
        if path.endswith(".sh"):
            continue
        functions = python_functions if path.endswith(".py") else c_functions
        for first, last in functions(tree.files[path]):
            inside = lines[first - 1 : last]
            if len(inside) > LONGEST_FUNCTION and not any(EXCEPTION in line for line in inside):
                yield path, first, f"a function of {len(inside)} lines; {LONGEST_FUNCTION} are the limit"


def check_form(tree: Tree) -> Iterator[Complaint]:
    for path, lines in tree.ending(".c", ".h", ".def", ".sql", ".py", ".sh", ".md", ".in", ".service", "Makefile"):
        if lines[-1] != "":
            yield path, len(lines), "does not end with a line feed"
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                yield path, number, "blanks at the end of the line"
            if path.endswith(C_FILES) and re.match(r" +\t|\t* {8}", line) and line.strip() != "\\":
                yield path, number, "indented by blanks: a tab is eight columns, blanks only continue a line"
            if path.endswith(".py") and "\t" in line:
                yield path, number, "a tab"
            free = path.startswith("tests/")  # whole documents stand there in a string
            if path.endswith(C_FILES) and len(line.expandtabs(8)) > LONGEST_LINE and not free:
                yield path, number, f"is longer than {LONGEST_LINE} columns"


def check_words(tree: Tree) -> Iterator[Complaint]:
    for path, lines in tree.ending(""):
        for number, line in enumerate(lines, 1):
            unfinished, machine = UNFINISHED.search(line), MACHINE_PATH.search(line)
            if unfinished:
                yield path, number, f"'{unfinished[0]}': finish it, or open an issue"
            if machine:
                yield path, number, f"'{machine[0]}' is a path of somebody's machine"


def check_licence(tree: Tree) -> Iterator[Complaint]:
    programs = (".c", ".h", ".def", ".sql", ".py", ".sh", "Makefile", ".ci/run")
    for path, lines in tree.ending(*programs, ".5.in", ".8", ".1", ".3", ".service", ".sysusers"):
        if not any("SPDX-License-Identifier: MIT" in line for line in lines[:3]):
            yield path, 1, "no SPDX line at its head"


# --- tables against documents ---------------------------------------------------------------------------


def check_messages(tree: Tree) -> Iterator[Complaint]:
    document = tree.files.get("docs/PROTOCOL.md", "")
    for row in tree.rows("lib/ipc/messages.def", "MESSAGE"):
        name, sender, receiver, meaning = row[0], row[2].lower(), row[3].lower(), row[4].strip('"')
        line = f"| {name} | {sender} | {receiver} | {meaning} |"
        if line not in document.split("\n"):
            yield "docs/PROTOCOL.md", 1, f"lacks the row of messages.def: {line}"


def check_faults(tree: Tree) -> Iterator[Complaint]:
    code = "\n".join(
        blank_comments(text)
        for path, text in tree.files.items()
        if path.endswith(".c") and path.startswith(("lib/", "daemon/"))
    )
    for row in tree.rows("lib/base/faults.def", "FAULT_POINT"):
        if not re.search(rf"\bFAULT\({row[0]}\)", code):
            yield "lib/base/faults.def", 1, f"no code passes FAULT({row[0]})"


def option_names(tree: Tree) -> dict[str, set[str]]:
    table = "lib/conf/options.def"
    kinds = re.findall(r"^#ifndef (\w+)_OPTION", tree.files.get(table, ""), re.M)
    return {kind.lower(): {row[0] for row in tree.rows(table, f"{kind}_OPTION")} for kind in kinds}


def check_options(tree: Tree) -> Iterator[Complaint]:
    """The page has a list for each section, and the examples of the documents know only real options."""
    options = option_names(tree)
    page = tree.files.get("docs/man/skep.conf.5.in", "")
    for kind in options:
        if f"\n@{kind}@\n" not in page:
            yield "docs/man/skep.conf.5.in", 1, f"lacks the line @{kind}@"
    for path, lines in tree.ending(".md", ".conf", ".5.in"):
        kind = None
        for number, line in enumerate(lines, 1):
            section = re.fullmatch(r"\[(\w+)( [^\]]+)?\]", line)
            option = re.match(r"#?([a-z_]+) = ", line)
            if line.startswith(("```", ".Ed")):
                kind = None
            elif section:
                kind = section[1]
                if kind not in options:
                    yield path, number, f"there is no section [{kind}]"
            elif option and kind in options and option[1] not in options[kind]:
                yield path, number, f"there is no option {option[1]} in [{kind}]"


def check_metrics(tree: Tree) -> Iterator[Complaint]:
    document = "docs/METRICS.md"
    lines = tree.files.get(document, "").split("\n")
    suffixes = {"COUNTER": "_total", "INFO": "_info"}
    for row in tree.rows("lib/board/metrics.def", "METRIC"):
        name, kind, unit, labels, text = row[1].strip('"'), row[2], *(word.strip('"') for word in row[3:6])
        shown = ", ".join(f"`{label}`" for label in labels.split())
        line = f"| `{name}{suffixes.get(kind, '')}` | {kind.lower()} | {shown} | {text} |"
        if line not in lines:
            yield document, 1, f"lacks the row of metrics.def: {line}"
        if unit and not name.endswith(f"_{unit}"):
            yield "lib/board/metrics.def", 1, f"{name} does not end with its unit, {unit}"


def check_lists(tree: Tree) -> Iterator[Complaint]:
    """Words that a user meets are in the document that explains them."""
    protocol, architecture = "docs/PROTOCOL.md", "docs/ARCHITECTURE.md"
    wanted = [(protocol, row[1].strip('"'), "states.def") for row in tree.rows("lib/job/states.def", "JOB_STATE")]
    wanted += [(protocol, row[1].strip('"'), "outcomes.def") for row in tree.rows("lib/job/outcomes.def", "OUTCOME")]
    wanted += [(architecture, row[1].strip('"'), "roles.def") for row in tree.rows("daemon/roles.def", "ROLE")]
    for path, text in sorted(tree.files.items()):
        if path.startswith("daemon/worker/") and path.endswith(".c"):
            wanted += [(protocol, name, path) for name in re.findall(r'"(SKEP_[A-Z_]+)', text)]
    for document, word, origin in wanted:
        if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", tree.files.get(document, "")):
            yield document, 1, f"does not mention '{word}' of {origin}"


CHECKS = (
    check_includes,
    check_guards,
    check_banned,
    check_silence,
    check_sizes,
    check_form,
    check_words,
    check_licence,
    check_messages,
    check_faults,
    check_options,
    check_metrics,
    check_lists,
)


def complaints(tree: Tree) -> list[Complaint]:
    return [complaint for check in CHECKS for complaint in check(tree)]


# --- self-test ------------------------------------------------------------------------------------------

C = "/* SPDX-License-Identifier: MIT */\n"
GOOD = {
    "lib/base/banned.h": C + "#ifndef SKEP_BASE_BANNED_H\n#define SKEP_BASE_BANNED_H\n"
    "#define strcpy(...) BANNED(strcpy)\n#endif\n",
    "lib/base/loop.c": C + "#include <ev.h>\n\nint f(void)\n{\n\treturn 1; /* strcpy(a, b) */\n}\n",
    "lib/base/faults.def": C + 'FAULT_POINT(store_x, "store.x", "nothing is lost")\n',
    "lib/conf/options.def": C + '#ifndef POOL_OPTION\n#endif\nPOOL_OPTION(workers, INT, "1", 0, 9, "How many, at most.")\n',
    "lib/ipc/messages.def": C + 'MESSAGE(STOP, stop, SUPERVISOR, ANY, "leave, now")\n',
    "lib/job/states.def": C + 'JOB_STATE(DONE, "done", true)\n',
    "lib/board/metrics.def": C + 'METRIC(RUN, "x_seconds", COUNTER, "seconds", "a b", "Time, of runs.")\n',
    "daemon/process.h": C + "#ifndef SKEP_DAEMON_PROCESS_H\n#define SKEP_DAEMON_PROCESS_H\n#endif\n",
    "daemon/store/x.c": C + '#include "daemon/process.h"\n#include "lib/base/banned.h"\n\nvoid x_do(void)\n{\n'
    '\tFAULT(store_x);\n}\n',
    "docs/PROTOCOL.md": "| STOP | supervisor | any | leave, now |\n\ndone\n",
    "docs/METRICS.md": "| `x_seconds_total` | counter | `a`, `b` | Time, of runs. |\n",
    "docs/man/skep.conf.5.in": '.\\" SPDX-License-Identifier: MIT\n@pool@\n',
    "README.md": "```ini\n[pool default]\nworkers = 4\n```\n",
}

# (file, what is put at its end or, with a first part, replaced in it; the complaint that must come)
BAD = (
    ("lib/base/loop.c", ("", '#include "lib/conf/conf.h"\n'), "may not include lib/conf/conf.h"),
    ("daemon/store/x.c", ("", '#include "daemon/worker/runner.h"\n'), "may not include daemon/worker"),
    ("daemon/process.h", ("", '#include "daemon/store/x.h"\n'), "may not include daemon/store"),
    ("daemon/store/x.c", ("", "#include <sqlite3.h>\n"), "<sqlite3.h> has one includer"),
    ("daemon/store/x.c", ("", "#include <ncurses.h>\n"), "<ncurses.h> has one includer"),
    ("daemon/process.h", ("SKEP_DAEMON_PROCESS_H", "PROCESS_H"), "its guard is to be SKEP_DAEMON_PROCESS_H"),
    ("daemon/store/x.c", ("", "void x_copy(void)\n{\n\tstrcpy(a, b);\n}\n"), "strcpy() is banned"),
    ("lib/base/banned.h", ("BANNED(strcpy)", "strcpy"), "bans nothing"),
    ("lib/job/job.c", ("", C + 'void f(void)\n{\n\tlog_info("x");\n}\n'), "does not call log_info()"),
    ("daemon/store/x.c", ("", "int x_long(void)\n{\n" + "\tg();\n" * 60 + "}\n"), "a function of 62 lines"),
    ("tools/x.py", ("", "# SPDX-License-Identifier: MIT\ndef f():\n" + "    g()\n" * 60), "a function of 61 lines"),
    ("daemon/store/x.c", ("", "int x;\n" * 550), "550 are the limit"),
    ("daemon/store/x.c", ("", "int x; \n"), "blanks at the end"),
    ("daemon/store/x.c", ("", "        int x;\n"), "indented by blanks"),
    ("daemon/store/x.c", ("", "int x" + "x" * 120 + ";\n"), "is longer than"),
    ("daemon/store/x.c", ("", "int x;"), "does not end with a line feed"),
    ("README.md", ("", "TO" "DO: more\n"), "finish it"),
    ("README.md", ("", "see /home" "/me/x\n"), "somebody's machine"),
    ("daemon/store/x.c", ("SPDX", "SPD"), "no SPDX line"),
    ("docs/PROTOCOL.md", ("leave, now", "leave"), "lacks the row of messages.def"),
    ("daemon/store/x.c", ("FAULT(store_x)", "/* FAULT(store_x) */"), "no code passes FAULT(store_x)"),
    ("docs/man/skep.conf.5.in", ("@pool@", "@pols@"), "lacks the line @pool@"),
    ("README.md", ("workers", "worker"), "there is no option worker in [pool]"),
    ("README.md", ("[pool", "[pond"), "there is no section [pond]"),
    ("docs/PROTOCOL.md", ("done\n", "\n"), "does not mention 'done'"),
    ("docs/METRICS.md", ("Time", "Tim"), "lacks the row of metrics.def"),
    ("lib/board/metrics.def", ("x_seconds", "x"), "does not end with its unit"),
)


def spoiled(path: str, old: str, new: str) -> Tree:
    text = GOOD.get(path, "")
    return Tree(GOOD | {path: text.replace(old, new) if old else text + new})


def self_test() -> int:
    failures = [f"a good tree is complained about: {c}" for c in complaints(Tree(dict(GOOD)))]
    for path, change, wanted in BAD:
        if not any(wanted in text for _, _, text in complaints(spoiled(path, *change))):
            failures.append(f"no complaint '{wanted}' for {path}")
    reason = f"int x_long(void)\n{{\n\t/* {EXCEPTION}a table */\n" + "\tg();\n" * 60 + "}\n"
    if complaints(spoiled("daemon/store/x.c", "", reason)):
        failures.append("a long function that says why is complained about")
    for failure in failures:
        print(f"check-source self-test: {failure}", file=sys.stderr)
    if not failures:
        print(f"check-source: {len(BAD)} faults were found by its self-test")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        return self_test()
    tree = Tree.of_checkout(Path(__file__).resolve().parents[1])
    found = complaints(tree)
    for path, line, text in found:
        print(f"{path}:{line}: {text}", file=sys.stderr)
    if not found:
        print(f"check-source: {len(tree.files)} files are in order")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
