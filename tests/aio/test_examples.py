"""The programs of docs/asyncio.md do what the page says, against a broker in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.interop.broker import CHECKOUT, PATIENCE, BrokerTestCase

PAGE = Path(CHECKOUT, "docs", "asyncio.md").read_text("utf-8")
SHOWN = (
    "house/door b'open'\n",
    "command: start\n",
    "b'42'\n",
    "b'on'\nhouse/hall/lamp b'off'\nhouse/attic/lamp b'off'\n",
)


class ExampleTests(BrokerTestCase):
    def test_examples(self) -> None:
        """Each program of the page runs as it stands, but for the port."""
        programs = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
        self.assertEqual(len(programs), len(SHOWN))
        for program, shown in zip(programs, SHOWN, strict=True):
            with self.subTest(shown=shown):
                done = subprocess.run(
                    [sys.executable, "-c", program.replace('"localhost"', f'"127.0.0.1:{self.port}"')],
                    cwd=CHECKOUT,
                    capture_output=True,
                    check=False,
                    text=True,
                    timeout=PATIENCE,
                )
                self.assertEqual((done.stdout, done.stderr), (shown, ""))
