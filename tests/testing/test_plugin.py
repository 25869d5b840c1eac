"""The fixtures of pytest, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

IN_MEMORY = """
def test_memory(mqtt_broker):
    client = mqtt_broker.connect("us")
    mqtt_broker.run(client.publish("a", b"1", qos=1))
    assert mqtt_broker.payloads("a") == [b"1"]

def test_anew(mqtt_broker):
    assert mqtt_broker.messages == []
"""

WITH_PORT = """
import socket

def test_port(mqtt_server):
    with socket.create_connection((mqtt_server.host, mqtt_server.port), 10) as line:
        line.sendall(bytes.fromhex("100c00044d5154540402000000 00".replace(" ", "")))
        assert line.recv(4) == bytes.fromhex("20020000")
"""

UNUSED = """
import sys

def test_nothing():
    heavy = [name for name in sys.modules if name.split(".")[0] in ("twisted", "zope", "OpenSSL")]
    assert heavy == []
"""


class PluginTestCase(unittest.TestCase):
    def run_pytest(self, source: str) -> str:
        """What pytest shows of a file of tests, which has to pass."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "test_it.py")
            path.write_text(source, "utf-8")
            command = [sys.executable, "-m", "pytest", "-q", "-p", "mqttwist.pytest_plugin", str(path)]
            environment = os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)}
            ended = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return ended.stdout


class PluginTests(PluginTestCase):
    def test_memory(self) -> None:
        """Each test has a broker in memory of its own."""
        self.assertIn("2 passed", self.run_pytest(IN_MEMORY))

    def test_server(self) -> None:
        """A broker with a port answers any client."""
        self.assertIn("1 passed", self.run_pytest(WITH_PORT))

    def test_unused(self) -> None:
        """Where no fixture is used, nothing of Twisted is imported."""
        self.assertIn("1 passed", self.run_pytest(UNUSED))
