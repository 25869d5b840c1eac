"""4.7 Topic Names and Topic Filters."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.topics")
class TopicTests(SynchronousTestCase):
    """The checks of 4.7, of MQTT 3.1.1."""
