"""`mqttwist` and `python -m mqttwist`: one command, whose parts come as they are needed."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.__main__ import CLIENT_COMMANDS, main
from tests.interop.broker import CHECKOUT

WITHOUT_CLICK = "import sys; sys.modules['click'] = None; from mqttwist.__main__ import run; run()"


class MainTests(SynchronousTestCase):
    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        stdout, stderr = io.StringIO(), io.StringIO()
        with redirect_stdout(stdout):
            try:
                status = main(arguments, stdout, stderr)
            except SystemExit as end:
                status = int(end.code or 0)
        return status, stdout.getvalue(), stderr.getvalue()

    def test_names(self) -> None:
        """The help names all commands."""
        _, text, _ = self.run_main()
        for name in ("pub", "sub", "rr", "bench", "passwd", "conform", "store"):
            self.assertRegex(text, rf"(?m)^ +{name} +\w")

    def test_help_of_each(self) -> None:
        """Each has a help of its own, under the name by which it was called."""
        for name in ("pub", "sub", "rr", "bench", "passwd", "conform", "store"):
            status, text, _ = self.run_main(name, "--help")
            self.assertEqual(status, 0)
            self.assertIn(f"mqttwist {name}", text.splitlines()[0])

    def test_unknown(self) -> None:
        """A command that there is not is a wrong command line."""
        with patch("sys.stderr", io.StringIO()):
            self.assertEqual(self.run_main("publish")[0], 2)

    def test_without_click(self) -> None:
        """Where click is missing, the commands that need it say what to install; the others work."""
        with patch.dict(sys.modules, {"click": None}):
            for name in CLIENT_COMMANDS:
                said = f"mqttwist {name} needs click: pip install 'mqttwist[cli]'\n"
                self.assertEqual(self.run_main(name, "-t", "a"), (1, "", said))
            self.assertEqual(self.run_main("passwd", "--help")[0], 0)
            self.assertEqual(self.run_main("store", "--help")[0], 0)

    def test_as_a_program(self) -> None:
        """It imports without click, too."""
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_CLICK, "sub"], cwd=CHECKOUT, capture_output=True, check=False
        )
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"pip install 'mqttwist[cli]'", done.stderr)
