"""The examples of docs/testing.md are tests themselves, and pass."""

from __future__ import annotations

import re

from tests.testing.test_plugin import CHECKOUT, PluginTestCase


class DocsTests(PluginTestCase):
    def test_examples(self) -> None:
        """Each block of Python is a file of tests."""
        page = (CHECKOUT / "docs" / "testing.md").read_text("utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
        passed = [self.run_pytest(block).split()[-4] for block in blocks]
        self.assertEqual(passed, ["2", "2", "1"])
