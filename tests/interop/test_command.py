"""The command as a process: how it starts, what it says when it can't, how it says goodbye."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Disconnect
from tests.interop.broker import BrokerTestCase
from tests.interop.certificates import make_certificate

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 20.0  # seconds
RUN = "import sys; from twisted.{0} import {1}; sys.argv[0] = {2!r}; {1}()"
TWISTD = ("-c", RUN.format("scripts.twistd", "run", "twistd"))
TWIST = ("-m", "twisted")


def receive_all(connection: socket.socket) -> bytes:
    """All that comes until the other side has closed in good order."""
    data = b""
    while part := connection.recv(4096):
        data += part
    return data


class StartTests(unittest.TestCase):
    """What the command does before a client comes."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command that ends by itself."""
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)},
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    def test_port_in_use(self) -> None:
        """A port that is taken: one line that says so, no traceback, status 1, and no pid file is left."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for runner in ((*TWISTD, "-n"), TWISTD, TWIST):
                with self.subTest(runner=runner):
                    done = self.run_command(*runner, "mqtt", "--port", port)
                    self.assertEqual(done.returncode, 1)
                    output = done.stdout + done.stderr
                    self.assertEqual(output.count(f"mqtt: cannot listen on 127.0.0.1:{port}: "), 1, output)
                    self.assertNotIn("Traceback", output)
                    self.assertEqual(list(self.folder.glob("*.pid")), [])

    def test_bad_option(self) -> None:
        """A bad option: one line on standard error, nothing else, status 1."""
        for runner, name in ((TWISTD, "twistd"), (TWIST, "__main__.py")):
            done = self.run_command(*runner, "mqtt", "--maximum-qos", "3")
            expected = f"{name} mqtt: --maximum-qos must be 0..2 (QoS), not '3'\n"
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", expected))

    def test_daemon(self) -> None:
        """`twistd mqtt` goes into the background, serves there, and stops when it is told."""
        done = self.run_command(*TWISTD, "mqtt", "--port", "0")
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        pid = int((self.folder / "twistd.pid").read_text("utf-8"))
        log = self.folder / "twistd.log"
        match = re.search(
            r"mqttwist.broker#info\] Listening on 127\.0\.0\.1:(\d+)$", log.read_text("utf-8"), re.M
        )
        assert match is not None
        with socket.create_connection(("127.0.0.1", int(match[1])), PATIENCE) as client:
            client.sendall(Connect("a").encode())
            self.assertIsInstance(decode_stream(client.recv(4096), 5)[0], ConnAck)
            os.kill(pid, signal.SIGTERM)
            self.assertIsInstance(decode_stream(receive_all(client), 5)[0], Disconnect)
        self.assertNotIn("Traceback", log.read_text("utf-8"))


class GoodbyeTests(BrokerTestCase):
    """DISCONNECT reaches the client on every kind of transport, and after it the end of the stream."""

    def check_goodbyes(self, first: socket.socket, second: socket.socket) -> None:
        """Session taken over (0x8E) on the first, server shutting down (0x8B) on the second."""
        for client in (first, second):
            client.settimeout(PATIENCE)
            client.sendall(Connect("a").encode())
            self.broker.wait_for("'a' connected", 1 if client is first else 2)
        for client, reason_code in ((first, 0x8E), (second, 0x8B)):
            # What a client still says must not bring a reset that overtakes the DISCONNECT.
            client.sendall(b"\xc0\x00")
            connack, *_, goodbye = decode_stream(receive_all(client), 5)
            self.assertIsInstance(connack, ConnAck)
            self.assertIsInstance(goodbye, Disconnect)
            self.assertEqual(getattr(goodbye, "reason_code", 0), reason_code)
            client.close()
            if client is first:
                self.broker.ask_to_stop()

    def test_tcp(self) -> None:
        """Over TCP."""
        address = ("127.0.0.1", self.port)
        self.check_goodbyes(socket.create_connection(address), socket.create_connection(address))

    def test_tls(self) -> None:
        """Over TLS, with the close_notify that tells the end from a line that was cut."""
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        key, certificate = make_certificate(Path(folder.name))
        self.broker = self.start_broker(
            "--listen", f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        )
        context = ssl.create_default_context(cafile=certificate)

        def connect() -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            return context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)

        self.check_goodbyes(connect(), connect())

    def test_unix(self) -> None:
        """Over a UNIX socket."""
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        path = f"{folder.name}/mqtt.sock"
        self.broker = self.start_broker("--listen", f"unix:{path}")

        def connect() -> socket.socket:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            return client

        self.check_goodbyes(connect(), connect())

    def test_proxy(self) -> None:
        """Behind a proxy that sends a PROXY header; the log names the client."""
        self.broker = self.start_broker("--allow-anonymous", "--listen", "haproxy:tcp:0:interface=127.0.0.1")

        def connect() -> socket.socket:
            client = socket.create_connection(("127.0.0.1", self.port))
            client.sendall(b"PROXY TCP4 203.0.113.9 127.0.0.1 40000 1883\r\n")
            return client

        self.check_goodbyes(connect(), connect())
        self.assertIn("'a' connected from 203.0.113.9:40000", self.broker.log)
