"""4.6 Message ordering."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.ordering")
class OrderingTests(SynchronousTestCase):
    """The checks of 4.6, of MQTT 3.1.1."""
