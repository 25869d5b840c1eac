"""3.3.2.3 PUBLISH: its properties."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.publish_properties")
class PublishPropertiesTests(SynchronousTestCase):
    """The checks of the properties of PUBLISH, of MQTT 5.0."""
