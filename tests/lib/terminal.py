# SPDX-License-Identifier: MIT
"""A real terminal: a private tmux server with one window, in which a command runs."""

import os
import shlex
import subprocess
from pathlib import Path

from waiting import wait_until

SHELL = """
stty -g > {dir}/stty.before
{command}
echo "left $?"
stty -g > {dir}/stty.after
exec cat
"""


class Terminal:
    def __init__(self, directory: Path, columns: int = 110, lines: int = 35):
        self.dir = directory
        self.socket = directory / "tmux"
        self.size = (str(columns), str(lines))
        self.environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "USER", "TMPDIR")}
        self.environment |= {"LANG": "C.UTF-8", "TERM": "xterm-256color"}
        self.started = False

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-f", "/dev/null", "-S", str(self.socket), *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=20,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout.decode()

    def run(self, *command: str | os.PathLike, **environment: str) -> "Terminal":
        """Runs it by a shell that tells its exit code and stays, with its settings before and after in files."""
        words = [f"{k}={v}" for k, v in environment.items()] + [shlex.quote(str(word)) for word in command]
        script = self.dir / "terminal.sh"
        script.write_text(SHELL.format(dir=shlex.quote(str(self.dir)), command=" ".join(words)))
        columns, lines = self.size
        self.started = True
        self.tmux("new-session", "-d", "-x", columns, "-y", lines, "sh", str(script))
        return self

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def resize(self, columns: int, lines: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def text(self, *options: str) -> str:
        return self.tmux("capture-pane", "-p", *options)

    def line(self, words: str) -> str:
        """The line that begins so, behind its mark and blanks; "" if there is none."""
        for line in self.text().splitlines():
            if line.lstrip("> ").startswith(words):
                return line
        return ""

    def about(self, variable: str) -> str:
        return self.tmux("display-message", "-p", f"#{{{variable}}}").strip()

    def wait(self, *texts: str, seconds: float = 20) -> str:
        """All of them on the screen; the screen."""
        seen = [""]

        def there() -> bool:
            seen[0] = self.text()
            return all(text in seen[0] for text in texts)

        try:
            wait_until(there, "", seconds)
        except AssertionError:
            raise AssertionError(f"not {texts} on the screen within {seconds} s:\n{seen[0]}") from None
        return seen[0]

    def wait_gone(self, text: str, seconds: float = 20) -> str:
        wait_until(lambda: text not in self.text(), f"'{text}' to leave the screen", seconds)
        return self.text()

    def close(self) -> None:
        if self.started:
            subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], env=self.environment, timeout=20, check=False)
