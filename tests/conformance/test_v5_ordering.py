"""4.6 Message ordering of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.ordering")
class OrderingTests(SynchronousTestCase):
    """Every check of section 4.6, of MQTT 5.0."""
