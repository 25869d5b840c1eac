"""4.2 Network Connections."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.transport")
class TransportTests(SynchronousTestCase):
    """The checks of the stream of bytes, of MQTT 3.1.1."""
