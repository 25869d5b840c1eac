"""A broker with a real port, for programs whose client is no mqttwist: a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from types import TracebackType

PATIENCE = 30.0  # seconds that a start may take
COMMAND = (sys.executable, "-m", "twisted", "--log-format", "text", "mqtt")
LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)$")


class MQTTServer:
    """A broker on a free port of the loopback interface, while the `with` runs.

    `host` and `port` are where it is, `log` what it has said. `options` are those of `twistd mqtt`; without
    any, everybody on this machine is let in. Raises `RuntimeError` when it does not start.
    """

    host = "127.0.0.1"

    def __init__(self, *options: str) -> None:
        self.port = 0
        self.log: list[str] = []
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self._process: subprocess.Popen[str] | None = None
        self._has_started = threading.Event()

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``, as `MQTTClient` takes it."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "--listen", "tcp:0:interface=127.0.0.1", *self._options],
            cwd=self._folder.name,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        if not self._has_started.wait(PATIENCE) or not self.port:
            self.stop()
            raise RuntimeError("the broker does not start:\n" + "\n".join(self.log))

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stdout:
            for line in stdout:
                self.log.append(line.rstrip("\n"))
                match = LISTENING.search(self.log[-1])
                if match is not None:
                    self.port = int(match[1])
                    self._has_started.set()
        self._has_started.set()

    def stop(self) -> None:
        """Stop it and wait for its end; harmless when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def __enter__(self) -> MQTTServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
