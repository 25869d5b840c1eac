"""4.3 Quality of Service levels, 4.4 Message delivery retry and 4.5 Message receipt."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.delivery")
class DeliveryTests(SynchronousTestCase):
    """The checks of 4.3, 4.4 and 4.5, of MQTT 3.1.1."""
