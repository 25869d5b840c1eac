"""4.2 Network Connections of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.transport")
class TransportTests(SynchronousTestCase):
    """Every check of section 4.2, of MQTT 5.0."""
