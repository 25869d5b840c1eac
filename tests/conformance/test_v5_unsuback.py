"""3.11 UNSUBACK of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.unsuback")
class UnsubAckTests(SynchronousTestCase):
    """Every check of UNSUBACK, of MQTT 5.0."""
