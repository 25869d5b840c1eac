"""3.8 SUBSCRIBE."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.subscribe")
class SubscribeTests(SynchronousTestCase):
    """The checks of the packet SUBSCRIBE, of MQTT 3.1.1."""
