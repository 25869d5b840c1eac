"""4.8 Handling errors, and 7 Conformance."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.faults")
class FaultTests(SynchronousTestCase):
    """The checks of 4.8 and 7, of MQTT 3.1.1."""
