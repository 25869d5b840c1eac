"""3.8 SUBSCRIBE of MQTT 5.0: the packet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.subscribe")
class SubscribeTests(SynchronousTestCase):
    """Every check of the packet SUBSCRIBE, of MQTT 5.0."""
