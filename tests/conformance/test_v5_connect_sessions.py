"""3.1 CONNECT: sessions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.connect_sessions")
class ConnectSessionsTests(SynchronousTestCase):
    """The checks of the sessions of CONNECT, of MQTT 5.0."""
