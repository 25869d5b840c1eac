"""4.1 Session State of MQTT 5.0."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v5.session_state")
class SessionStateTests(SynchronousTestCase):
    """Every check of section 4.1, of MQTT 5.0."""
