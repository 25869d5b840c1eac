"""4.4 Message delivery retry of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.retry")
class RetryTests(SynchronousTestCase):
    """Every check of section 4.4, of MQTT 5.0."""
