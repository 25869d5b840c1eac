"""Makes a test of each check of a section.

@each_check_of("v5.connect")
class ConnectTests(SynchronousTestCase):
    \"\"\"3.1 CONNECT of MQTT 5.0.\"\"\"
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.conform.registry import PACKAGES, Check, checks_in
from mqttwist.conform.runner import Verdict, run
from mqttwist.conform.virtual import VirtualBroker, VirtualRig

Case = TypeVar("Case", bound=type[SynchronousTestCase])


def each_check_of(module: str) -> Callable[[Case], Case]:
    """Give a test class a test of each check in `module` ("v5.connect"), on virtual time."""
    package, _, section = module.partition(".")
    [version] = [number for number, name in PACKAGES.items() if name == package]

    def add_tests(case: Case) -> Case:
        found = checks_in(version, section)
        assert found, f"there are no checks in {module}"
        for check in found:
            setattr(case, f"test_{check.function}", _test_of(check, case.__qualname__))
        return case

    return add_tests


def _test_of(check: Check, class_name: str) -> Callable[[SynchronousTestCase], None]:
    def test(self: SynchronousTestCase) -> None:
        rig = VirtualRig(check.version, VirtualBroker(check.settings))
        outcome = run(check, rig)
        self.assertIs(outcome.verdict, Verdict.PASSED, f"{check.name}: {outcome.detail}")
        self.assertEqual(outcome.detail, "", f"{check.name}: what is recommended is not done")
        self.assertEqual(check.slow, rig.waited >= 1, f"{check.name} waits for {rig.waited} s")

    test.__name__ = f"test_{check.function}"
    test.__qualname__ = f"{class_name}.{test.__name__}"
    test.__doc__ = f"{check.sentence} [{'] ['.join(check.statements)}]"
    return test
