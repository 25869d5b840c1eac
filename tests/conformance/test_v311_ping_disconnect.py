"""3.12 PINGREQ and 3.14 DISCONNECT."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.ping_disconnect")
class PingDisconnectTests(SynchronousTestCase):
    """The checks of PINGREQ and DISCONNECT, of MQTT 3.1.1."""
