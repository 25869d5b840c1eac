"""4.3.3 QoS 2 of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.qos_2")
class QoS2Tests(SynchronousTestCase):
    """Every check of section 4.3.3, of MQTT 5.0."""
