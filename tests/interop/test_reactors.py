"""The command on asyncio reactors: as a daemon, stopped by a signal, and where it can't start."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from importlib.util import find_spec
from pathlib import Path

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Disconnect
from tests.interop.broker import CHECKOUT, FAULTS, PATIENCE

TWISTD = ("-c", "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()")
TWIST = ("-m", "twisted")
LISTENING = re.compile(r"mqttwist.broker#info\] Listening on 127\.0\.0\.1:(\d+)$", re.M)


class ReactorTestCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_command(self, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command that ends, or leaves a daemon; `path` is looked through for modules first."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (path, os.fspath(CHECKOUT))))},
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )


class AsyncioReactorTests(ReactorTestCase):
    reactor = "asyncio"

    def runner(self, *options: str) -> tuple[str, ...]:
        return (*TWISTD, f"--reactor={self.reactor}", *options, "mqtt")

    def test_daemon(self) -> None:
        """It serves in the background, its log names the client, and SIGTERM ends it with a farewell."""
        done = self.run_command(*self.runner(), "--port", "0")
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        pid_file, log_file = self.folder / "twistd.pid", self.folder / "twistd.log"
        pid = int(pid_file.read_text("utf-8"))
        self.addCleanup(self.kill, pid, pid_file)
        match = LISTENING.search(log_file.read_text("utf-8"))
        assert match is not None
        with socket.create_connection(("127.0.0.1", int(match[1])), PATIENCE) as client:
            address = client.getsockname()
            client.sendall(Connect("a").encode())
            self.assertIsInstance(decode_stream(client.recv(4096), 5)[0], ConnAck)
            os.kill(pid, signal.SIGHUP)
            os.kill(pid, signal.SIGTERM)
            goodbye = b""
            while part := client.recv(4096):
                goodbye += part
            self.assertIsInstance(decode_stream(goodbye, 5)[0], Disconnect)
        self.wait_for_end(pid_file)
        log = log_file.read_text("utf-8")
        self.assertIn("AsyncioSelectorReactor", log)
        self.assertIn(f"'a' connected from {address[0]}:{address[1]}", log)
        self.assertIn("SIGHUP: nothing to reload", log)
        self.assertIn("mqttwist stops", log)
        self.assertEqual([line for line in log.splitlines() if any(fault in line for fault in FAULTS)], [])

    def wait_for_end(self, pid_file: Path) -> None:
        """A daemon removes its pid file last."""
        deadline = time.monotonic() + PATIENCE
        while pid_file.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertFalse(pid_file.exists(), "the daemon did not stop")

    def kill(self, pid: int, pid_file: Path) -> None:
        """End a daemon that has not ended by itself."""
        if pid_file.exists():
            os.kill(pid, signal.SIGKILL)

    def test_port_in_use(self) -> None:
        """A port that is taken: one line and status 1, although another port listens already."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            endpoint = f"asyncio:{port}:interface=127.0.0.1"
            for words in (("--port", port), ("--port", "0", "--listen", endpoint)):
                with self.subTest(words=words):
                    done = self.run_command(*self.runner("-n"), *words)
                    output = done.stdout + done.stderr
                    self.assertEqual(done.returncode, 1)
                    self.assertEqual(output.count(f"mqtt: cannot listen on 127.0.0.1:{port}: "), 1, output)
                    for word in ("Traceback", "never awaited", "destroyed"):
                        self.assertNotIn(word, output)

    def test_bad_endpoint(self) -> None:
        """An endpoint that is not understood: one line, status 1."""
        done = self.run_command(*self.runner("-n"), "--listen", "asyncio:x")
        line = "twistd mqtt: --listen asyncio:x: port must be 0..65535, not 'x'\n"
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", line))


@unittest.skipIf(find_spec("uvloop") is None, "uvloop is not installed")
class UvloopReactorTests(AsyncioReactorTests):
    """All of it on uvloop."""

    reactor = "uvloop"


class NotToBeHadTests(ReactorTestCase):
    """What is said where it can't be had."""

    def test_no_uvloop(self) -> None:
        """Without uvloop: one line that says what to install, status 1."""
        (self.folder / "uvloop.py").write_text("raise ImportError(\"No module named 'uvloop'\")\n", "utf-8")
        expected = "--reactor=uvloop: No module named 'uvloop'; pip install mqttwist[uvloop]\n"
        for runner in (TWISTD, TWIST):
            done = self.run_command(*runner, "--reactor=uvloop", "mqtt", path=os.fspath(self.folder))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", expected))

    def test_no_asyncio(self) -> None:
        """The endpoint without an asyncio reactor: one line that says how to get one, status 1."""
        done = self.run_command(*TWISTD, "--reactor=select", "mqtt", "--listen", "asyncio:0")
        line = (
            "twistd mqtt: --listen asyncio:0: SelectReactor does not run on asyncio: "
            "start with --reactor=asyncio or --reactor=uvloop\n"
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", line))
