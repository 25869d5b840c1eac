"""3.9 SUBACK of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.suback")
class SubAckTests(SynchronousTestCase):
    """Every check of SUBACK, of MQTT 5.0."""
