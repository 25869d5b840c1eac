"""4.5 Message receipt of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.receipt")
class ReceiptTests(SynchronousTestCase):
    """Every check of section 4.5, of MQTT 5.0."""
