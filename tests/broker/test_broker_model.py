"""Whatever two clients and the network do: the broker does what the model in `tests.broker.model` allows.

More examples, made at random:

    MQTTWIST_MODEL_EXAMPLES=100000 python -m pytest tests/broker/test_broker_model.py

Without the variable they are few and always the same.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.broker.model.machine import BrokerMachine, SharedMachine

EXAMPLES = int(os.environ.get("MQTTWIST_MODEL_EXAMPLES", "0"))


class BrokerModelTests(SynchronousTestCase):
    def check(self, machine: type[BrokerMachine], examples: int) -> None:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES or examples,
                stateful_step_count=50,
                deadline=None,
                derandomize=not EXAMPLES,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_model(self) -> None:
        """Every byte that is sent is allowed, everything that is due is sent, and nothing else is done."""
        self.check(BrokerMachine, 250)

    def test_shared(self) -> None:
        """The same, where both clients are members of one group (4.8.2)."""
        self.check(SharedMachine, 200)
