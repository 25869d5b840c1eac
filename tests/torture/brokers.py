"""The brokers that are tortured: processes on a free port of loopback, with their files in one folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from abc import abstractmethod
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
WRITER = "mqttwist.stores.sqlite.writer"
START_LIMIT = 60.0  # seconds; a store may have to be read, and the machine is busy
STOP_LIMIT = 20.0
POLL = 0.02


class BrokerFailed(Exception):
    """The broker did not start, or ended by itself."""


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Broker:
    """One broker over all its lives: `start`, `kill` (SIGKILL), `start` again, and `stop` at the end."""

    name = ""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}
        self.kills = 0

    @abstractmethod
    def command(self) -> list[str]:
        """The words of its command line."""

    @property
    def log_file(self) -> Path:
        return self.folder / "log"

    def log(self, size: int = 3000) -> str:
        """The end of what it has written, of so many bytes."""
        return self.log_file.read_bytes()[-size:].decode("utf-8", "replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start it; `wait` tells when it serves."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)} | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_ready(self) -> bool:
        """Whether somebody listens at its port. Raises `BrokerFailed` if it has ended."""
        self.check_running()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1.0).close()
        except OSError:
            return False
        return True

    def check_running(self) -> None:
        """Raises `BrokerFailed` if it has ended."""
        if self.process is None or self.process.poll() is not None:
            raise BrokerFailed(f"{self.name} does not run; the end of its log:\n{self.log()}")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; what it has started may live on."""
        assert self.process is not None
        self.kills += 1
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; a broker that does not obey is killed. The exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Mosquitto(Broker):
    """Mosquitto as it keeps things: in memory, written to a file now and then."""

    name = "mosquitto"

    def command(self) -> list[str]:
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous true\n"
            f"user {'root' if os.geteuid() == 0 else 'mosquitto'}\n"
            "persistence true\n"
            f"persistence_location {self.folder}/\n"
            "autosave_interval 1800\n"
            "max_queued_messages 0\n"
            "max_inflight_messages 100\n"
            "log_dest stderr\n"
            "log_type error\n"
        )
        return ["mosquitto", "-c", os.fspath(config)]


class Ours(Broker):
    """mqttwist with a store file; its queues have no limits, since nothing may be dropped."""

    name = "ours"

    def __init__(self, folder: Path, port: int, sync: str = "full", store: Path | None = None) -> None:
        super().__init__(folder, port)
        self.sync = sync
        self.store = store or folder / "store.db"
        self.options: list[str] = []
        self._writers: set[int] = set()  # that may have outlived their broker

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "twisted", "--log-format", "text", "mqtt", "--allow-anonymous"),
            *("--listen", f"tcp:{self.port}:interface=127.0.0.1"),
            *("--store", os.fspath(self.store), "--sync", self.sync),
            *("--queue-messages", "0", "--queue-bytes", "0", "--sys-interval", "0"),
            *self.options,
        ]

    def writer_pid(self) -> int | None:
        """The process that writes the store, a child of the broker; None if there is none now."""
        for process_id in _children(self.pid):
            if _is_writer(process_id):
                return process_id
        return None

    def kill_writer(self) -> bool:
        """SIGKILL for the writer alone; False if there is none now."""
        process_id = self.writer_pid()
        if process_id is None:
            return False
        os.kill(process_id, signal.SIGKILL)
        return True

    def limit_writer(self, size: int | None) -> None:
        """Let no file of the writer grow beyond so many bytes (RLIMIT_FSIZE); None: as before."""
        import resource  # which is not to be had on Windows

        process_id = self.writer_pid()
        if process_id is not None:
            _, hard = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
            resource.prlimit(process_id, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    def kill(self) -> None:
        """SIGKILL for the broker alone; its writer writes what it was sent, and ends by itself."""
        self._note_writer()
        super().kill()

    def kill_all(self, writer_first: bool) -> None:
        """SIGKILL for both processes, in this order."""
        writer = self._note_writer()
        if writer_first and writer is not None:
            os.kill(writer, signal.SIGKILL)
        super().kill()
        if not writer_first and writer is not None and _is_writer(writer):
            os.kill(writer, signal.SIGKILL)

    def _note_writer(self) -> int | None:
        """The writer, which may outlive the broker: `stop` waits for it."""
        writer = self.writer_pid()
        if writer is not None:
            self._writers.add(writer)
        return writer

    def stop(self) -> int:
        """Stop, and see to it that every writer is gone, too."""
        if self.process is not None and self.process.poll() is None:
            self._note_writer()
        status = super().stop()
        for process_id in self._writers:
            _wait_for_end(process_id)
        return status


def _children(process_id: int) -> list[int]:
    try:
        words = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in words.split()]


def _is_writer(process_id: int) -> bool:
    try:
        return WRITER.encode() in Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return False


def _wait_for_end(process_id: int) -> None:
    """Wait for a writer, which is not our child, and kill it if it takes too long."""
    deadline = time.monotonic() + STOP_LIMIT
    while _is_writer(process_id):
        if time.monotonic() > deadline:
            os.kill(process_id, signal.SIGKILL)
            return
        time.sleep(POLL)


@cache
def why_not_ours() -> str | None:
    """Why our broker can't be tortured: None if it has a store."""
    if not sys.platform.startswith("linux"):
        return "the writer is found by /proc, which is Linux"
    try:
        import mqttwist.stores.sqlite.writer  # noqa: F401
    except ImportError:
        return "mqttwist has no writer of store files"
    done = subprocess.run(
        [sys.executable, "-m", "twisted", "mqtt", "--help"],
        env=os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)},
        capture_output=True,
        check=False,
        timeout=START_LIMIT,
    )
    return None if b"--sync" in done.stdout else "the command has no --sync"
