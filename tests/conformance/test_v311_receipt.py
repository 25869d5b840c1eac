"""4.5 Message receipt."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.receipt")
class ReceiptTests(SynchronousTestCase):
    """The checks of 4.5, of MQTT 3.1.1."""
