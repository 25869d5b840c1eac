"""4.3.3 QoS 2."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.qos_2")
class QoS2Tests(SynchronousTestCase):
    """The checks of QoS 2, of MQTT 3.1.1."""
