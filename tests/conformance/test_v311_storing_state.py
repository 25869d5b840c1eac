"""4.1 Storing state."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.storing_state")
class StoringStateTests(SynchronousTestCase):
    """The checks of 4.1, of MQTT 3.1.1."""
