"""4.3 Quality of Service levels and 4.4 Message delivery retry."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.delivery")
class DeliveryTests(SynchronousTestCase):
    """More checks of 4.3, and those of 4.4, of MQTT 3.1.1."""
