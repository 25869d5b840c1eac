"""3.3 PUBLISH."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.publish")
class PublishTests(SynchronousTestCase):
    """The checks of the flags and the topic of PUBLISH, of MQTT 3.1.1."""
