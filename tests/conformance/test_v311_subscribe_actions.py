"""3.8 SUBSCRIBE and 3.9 SUBACK."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.subscribe_actions")
class SubscribeActionTests(SynchronousTestCase):
    """The checks of what the Server does with SUBSCRIBE, of MQTT 3.1.1."""
