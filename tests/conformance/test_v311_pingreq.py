"""3.12 PINGREQ."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.pingreq")
class PingReqTests(SynchronousTestCase):
    """The checks of PINGREQ, of MQTT 3.1.1."""
