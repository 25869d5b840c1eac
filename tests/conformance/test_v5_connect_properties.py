"""3.1 CONNECT: Keep Alive and properties."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.connect_properties")
class ConnectPropertiesTests(SynchronousTestCase):
    """The checks of the properties of CONNECT, of MQTT 5.0."""
