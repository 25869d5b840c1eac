"""3.12 PINGREQ of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.pingreq")
class PingReqTests(SynchronousTestCase):
    """Every check of PINGREQ, of MQTT 5.0."""
