"""4.12 Enhanced authentication of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.authentication")
class AuthenticationTests(SynchronousTestCase):
    """Every check of section 4.12, of MQTT 5.0."""
