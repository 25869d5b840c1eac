"""3.6 PUBREL."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.acknowledgements")
class AcknowledgementTests(SynchronousTestCase):
    """The checks of PUBREL, of MQTT 3.1.1."""
