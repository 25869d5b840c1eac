"""The programs of the pages about the client do what the pages say."""

from __future__ import annotations

import io
import os
import re
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet import task
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import TestCase

from mqttwist.net.service import BrokerService

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.1:1883"


def programs(page: str) -> list[tuple[str, str]]:
    """The Python blocks of a page that end in `react(main)`, and what stands below them as their output."""
    pattern = r"^```python\n((?:(?!^```).)*?^react\(main\)\n)```\n+```text\n(.*?)^```$"
    return re.findall(pattern, (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)


class ClientExampleTests(TestCase):
    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.broker = BrokerService(["tcp:0:interface=127.0.0.1"], reactor=reactor)
        self.broker.startService()
        self.addCleanup(self.broker.stopService)
        host: Any = self.broker.ports[0].getHost()
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.file = os.path.join(folder.name, "pump-7.db")
        self.address = f"127.0.0.1:{host.port}"

    @inlineCallbacks
    def check(self, page: str, number: int) -> Any:
        found = programs(page)
        self.assertEqual(len(found), number, page)
        for program, expected in found:
            self.assertIn(ADDRESS, program)
            mains: list[Any] = []
            with patch.object(task, "react", mains.append), redirect_stdout(io.StringIO()) as shown:
                here = program.replace(ADDRESS, self.address).replace("pump-7.db", self.file)
                code = compile(here, page, "exec", dont_inherit=True)
                exec(code, {"__name__": "example"})
                yield Deferred.fromCoroutine(mains[0](self.reactor)).addTimeout(20, self.reactor)
            self.assertEqual(shown.getvalue(), expected)

    def test_client(self) -> Any:
        """docs/client.md"""
        return self.check("docs/client.md", 4)

    def test_store(self) -> Any:
        """docs/client-store.md"""
        return self.check("docs/client-store.md", 1)
