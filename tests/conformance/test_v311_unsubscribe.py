"""3.10 UNSUBSCRIBE."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.unsubscribe")
class UnsubscribeTests(SynchronousTestCase):
    """The checks of UNSUBSCRIBE and its answer, of MQTT 3.1.1."""
