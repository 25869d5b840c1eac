"""3.1 CONNECT."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.connect_properties")
class ConnectPropertiesTests(SynchronousTestCase):
    """The checks of Keep Alive, of MQTT 3.1.1."""
