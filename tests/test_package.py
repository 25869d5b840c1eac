"""What holds for the package as a whole: its version, and what an import of it drags in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import mqttwist

ROOT = Path(mqttwist.__file__).parents[1]
HEAVY = "import sys, mqttwist; print(*sorted(sys.modules.keys() & {'twisted', 'zope', 'zope.interface'}))"


class PackageTests(SynchronousTestCase):
    def test_version(self) -> None:
        """The version is one that Python's packaging tools accept as it is written."""
        self.assertRegex(mqttwist.__version__, re.compile(r"\A\d+\.\d+\.\d+(\.dev\d+)?\Z"))

    def test_import_is_light(self) -> None:
        """``import mqttwist`` brings in neither Twisted nor zope, and so no reactor."""
        command = [sys.executable, "-c", HEAVY]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
        self.assertEqual(found.stdout.strip(), "")
