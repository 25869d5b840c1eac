"""3.1 CONNECT."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.connect_wills")
class ConnectWillTests(SynchronousTestCase):
    """The checks of the Will, of MQTT 3.1.1."""
