"""4.3.1 QoS 0 and 4.3.2 QoS 1."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.qos")
class QoSTests(SynchronousTestCase):
    """The checks of QoS 0 and 1, of MQTT 3.1.1."""
