"""1.5 Data representation."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.datatypes")
class DatatypesTests(SynchronousTestCase):
    """Every check of 1.5, of MQTT 3.1.1."""
