"""Plain asyncio programs get by without Twisted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import mqttwist

ROOT = Path(mqttwist.__file__).parents[1]
BLOCKED = """
import asyncio, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("twisted", "zope", "incremental", "automat", "constantly"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
"""
PROGRAM = """
import mqttwist.blocking
from mqttwist import NotDelivered, Properties, QoS, Reconnecting, ScramSHA256
from mqttwist.aio import Client

async def main():
    async with Client("127.0.0.1:9", username="a", authenticator=ScramSHA256("a", "b")) as client:
        try:
            await client.publish("t", b"x", qos=1, deadline=0.01)
        except NotDelivered as error:
            print(error)

asyncio.run(main())
"""


class ImportTests(SynchronousTestCase):
    def run_program(self, program: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", BLOCKED + program]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)

    def test_without_twisted(self) -> None:
        """A client on asyncio works where neither Twisted nor zope can be imported."""
        done = self.run_program(PROGRAM)
        self.assertEqual(
            done.stdout, "not confirmed within 0.01 s; the Server does not have it\n", done.stderr
        )

    def test_is_blocked(self) -> None:
        """The test above would see an import of Twisted."""
        done = self.run_program("import mqttwist.net.client")
        self.assertIn("is blocked", done.stderr)
