"""3.14 DISCONNECT of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.disconnect")
class DisconnectTests(SynchronousTestCase):
    """Every check of DISCONNECT, of MQTT 5.0."""
