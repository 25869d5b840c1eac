"""3.15 AUTH of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.auth")
class AuthTests(SynchronousTestCase):
    """Every check of AUTH, of MQTT 5.0."""
