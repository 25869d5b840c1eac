"""4.9 Flow control of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.flow_control")
class FlowControlTests(SynchronousTestCase):
    """Every check of section 4.9, of MQTT 5.0."""
