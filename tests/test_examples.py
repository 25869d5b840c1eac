"""The program that README.md and docs/embedding.md show does what they say."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]


def example(page: str, text: str = "BrokerService") -> str:
    """The first Python block of a page that has `text` in it."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for block in blocks:
        if text in block:
            return str(block)
    raise AssertionError(f"{page} shows no Python with {text}")


class ExampleTests(SynchronousTestCase):
    def run_example(self, program: str) -> tuple[Any, str]:
        """Run a program that ends in `react(main)`: the reactor in memory, and what was printed."""
        reactor: Any = MemoryReactorClock()
        ends: list[Deferred[object]] = []

        def react(main: Any) -> None:
            ends.append(Deferred.fromCoroutine(main(reactor)))
            reactor.pump([0.0] * 3)

        with patch.object(task, "react", react), redirect_stdout(io.StringIO()) as shown:
            exec(compile(program, "example", "exec", dont_inherit=True), {"__name__": "example"})
        self.successResultOf(ends[0])
        return reactor, shown.getvalue()

    def test_readme(self) -> None:
        """It listens on loopback, gets its own message without a socket, and stops with nothing left."""
        reactor, shown = self.run_example(example("README.md"))
        ((port, _, _, interface),) = reactor.tcpServers
        self.assertEqual((port, interface), (1883, "127.0.0.1"))
        self.assertEqual(shown, "house/door b'open'\n")
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_short(self) -> None:
        """It takes about ten lines."""
        body = example("README.md").partition("async def main")[2]
        self.assertLessEqual(len([line for line in body.splitlines() if line.strip()]), 11)

    def test_same(self) -> None:
        """The pages show the same programs as the README."""
        self.assertEqual(example("docs/embedding.md"), example("README.md"))
        self.assertEqual(example("docs/client.md", "MQTTClient"), example("README.md", "MQTTClient"))
