"""3.3.4 PUBLISH: delivery."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.publish_delivery")
class PublishDeliveryTests(SynchronousTestCase):
    """The checks of the delivery of PUBLISH, of MQTT 5.0."""
