"""3.8.4 SUBSCRIBE of MQTT 5.0: what the Server does."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.subscribe_actions")
class SubscribeActionsTests(SynchronousTestCase):
    """Every check of what SUBSCRIBE leads to, of MQTT 5.0."""
