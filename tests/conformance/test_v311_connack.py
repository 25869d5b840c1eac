"""3.2 CONNACK."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.connack")
class ConnAckTests(SynchronousTestCase):
    """The checks of CONNACK, of MQTT 3.1.1."""
