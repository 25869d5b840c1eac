"""Imports go one way: ``wire`` <- ``session`` <- ``broker`` <- ``net``; Twisted begins in ``net``.

The client's way is ``session`` <- ``client`` <- ``front`` <- ``net``, or ``aio`` in the place of ``net``.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import mqttwist

PACKAGE = Path(mqttwist.__file__).parent

# Which folders of mqttwist the modules of a folder may import from.
MAY_IMPORT = {
    "wire": {"wire"},
    "session": {"wire", "session"},
    "broker": {"wire", "session", "broker"},
    "client": {"wire", "session", "client"},
    "front": {"wire", "session", "client", "stores", "front"},
    "aio": {"wire", "session", "client", "front", "aio"},
    "conform": {"wire", "broker", "stores", "conform"},
}


def imported_names(source: str) -> Iterator[str]:
    """Yield the dotted name of all that ``source`` imports, at any depth of its code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_offence(folder: str, name: str) -> bool:
    """Tell whether a module of ``folder`` must not import ``name``."""
    top, _, rest = name.partition(".")
    if name in ("mqttwist.__version__", "mqttwist.native.mypyc_attr"):  # which import nothing
        return False
    if top == "mqttwist":
        return rest.partition(".")[0] not in MAY_IMPORT[folder]
    return top in ("twisted", "zope", "")  # "": a relative import, whose end this test could not tell


def offences(folder: str, source: str) -> list[str]:
    """Return the names that a module of ``folder`` imports although it must not."""
    return [name for name in imported_names(source) if is_offence(folder, name)]


class LayerTests(SynchronousTestCase):
    def test_imports_go_one_way(self) -> None:
        """No module below ``net``, nor ``aio`` beside it, imports Twisted, zope or a layer above its own."""
        for folder in MAY_IMPORT:
            for path in sorted((PACKAGE / folder).rglob("*.py")):
                with self.subTest(path=str(path.relative_to(PACKAGE))):
                    self.assertEqual(offences(folder, path.read_text("utf-8")), [])

    def test_offences_are_seen(self) -> None:
        """The walk sees imports in functions, of a layer above, of Twisted, and relative ones."""
        for source in (
            "import twisted.internet",
            "from zope.interface import implementer",
            "def late():\n    from mqttwist.broker import broker",
            "from mqttwist import broker",
            "from . import neighbour",
        ):
            with self.subTest(source=source):
                self.assertEqual(len(offences("session", source)), 1)

    def test_what_is_allowed(self) -> None:
        """A layer may import itself, the layers below it and the standard library."""
        for source in (
            "import struct",
            "from mqttwist.wire import enums",
            "from mqttwist.session.message import Message",
        ):
            with self.subTest(source=source):
                self.assertEqual(offences("session", source), [])

    def test_client_needs_no_broker(self) -> None:
        """A program that is a client only does not load the broker, which would slow down its start."""
        loaded = "import sys, mqttwist.net.client; print([one for one in sys.modules if '.broker' in one])"
        said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
        self.assertEqual(said.stdout.strip(), "[]")
