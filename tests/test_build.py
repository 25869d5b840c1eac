"""`python -m mqttwist --version`, and which build of the core it tells of."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

import mqttwist
from mqttwist.__main__ import main
from mqttwist.build import BUILD
from mqttwist.wire import codec


class BuildTests(SynchronousTestCase):
    def test_which(self) -> None:
        """The core is called compiled exactly when its modules are extensions."""
        self.assertEqual(BUILD, "plain" if str(codec.__file__).endswith(".py") else "compiled")

    def run_main(self, *arguments: str) -> str:
        """What the command prints."""
        output = io.StringIO()
        with redirect_stdout(output):
            try:
                status = main(arguments, output, output)
            except SystemExit as done:
                status = int(done.code or 0)
        self.assertEqual(status, 0)
        return output.getvalue()

    def test_version(self) -> None:
        """The version and the build are on one line."""
        self.assertIn(f"mqttwist {mqttwist.__version__} ({BUILD}, Python 3.", self.run_main("--version"))

    def test_without_options(self) -> None:
        """Who doesn't know what to do is told what runs the broker."""
        self.assertIn("twistd mqtt", self.run_main())
