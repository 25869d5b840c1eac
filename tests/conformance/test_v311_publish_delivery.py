"""3.3 PUBLISH."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.publish_delivery")
class PublishDeliveryTests(SynchronousTestCase):
    """The checks of what PUBLISH is answered and does, of MQTT 3.1.1."""
