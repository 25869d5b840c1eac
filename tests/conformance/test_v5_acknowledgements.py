"""3.4 PUBACK, 3.5 PUBREC, 3.6 PUBREL and 3.7 PUBCOMP of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.acknowledgements")
class AcknowledgementsTests(SynchronousTestCase):
    """Every check of the acknowledgements of PUBLISH, of MQTT 5.0."""
