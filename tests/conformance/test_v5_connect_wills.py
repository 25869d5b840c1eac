"""3.1 CONNECT: wills."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.connect_wills")
class ConnectWillsTests(SynchronousTestCase):
    """The checks of the wills of CONNECT, of MQTT 5.0."""
