"""4.7 Topic Names and Topic Filters of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.topics")
class TopicsTests(SynchronousTestCase):
    """Every check of section 4.7, of MQTT 5.0."""
