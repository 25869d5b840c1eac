"""4.3.1 QoS 0 and 4.3.2 QoS 1 of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.qos")
class QoSTests(SynchronousTestCase):
    """Every check of sections 4.3.1 and 4.3.2, of MQTT 5.0."""
