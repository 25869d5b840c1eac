"""3.10 UNSUBSCRIBE of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.unsubscribe")
class UnsubscribeTests(SynchronousTestCase):
    """Every check of UNSUBSCRIBE, of MQTT 5.0."""
