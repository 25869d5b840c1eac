"""Whatever the network does to a client and a broker: nothing is lost, and at QoS 2 nothing comes twice.

More examples, made at random:

    MQTTWIST_MODEL_EXAMPLES=20000 python -m pytest tests/client/test_model.py
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.settings import Settings
from mqttwist.client.received import ACCEPTED, LEFT
from tests.client.joined import Joined, Line

EXAMPLES = int(os.environ.get("MQTTWIST_MODEL_EXAMPLES", "0"))
QUICK = "MQTTWIST_MODEL_QUICK" in os.environ  # a failure is shown as it was found

sizes = st.one_of(st.integers(1, 40), st.just(1 << 20))


class ClientMachine(RuleBasedStateMachine):
    """What the application, the network and time do. `qos` is that of the subscription."""

    joined: Joined

    @initialize(
        version=st.sampled_from((3, 4, 5)),
        qos=st.sampled_from((1, 2)),
        receive_maximums=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    )
    def begin(self, version: int, qos: int, receive_maximums: tuple[int, int]) -> None:
        broker_settings = Settings(receive_maximum=receive_maximums[0], topic_alias_maximum=2)
        self.qos = qos
        self.joined = Joined(version, qos, receive_maximums[1], broker_settings)
        self.joined.connect()
        self.joined.on_line(lambda line: line.carry_up(1 << 20))
        self.joined.on_line(lambda line: line.carry_down(1 << 20))
        self.joined.on_line(lambda line: line.carry_up(1 << 20))

    @rule(topic_name=st.sampled_from("abc"), qos=st.integers(1, 2), times=st.integers(1, 4))
    def publish(self, topic_name: str, qos: int, times: int) -> None:
        for _ in range(times):
            self.joined.publish(topic_name, qos)

    @rule(index=st.integers(0, 9), times=st.integers(1, 5))
    def accept(self, index: int, times: int) -> None:
        for _ in range(times):
            self.joined.decide(index, ACCEPTED)

    @rule(index=st.integers(0, 9))
    def leave(self, index: int) -> None:
        self.joined.decide(index, LEFT)

    @rule(up=sizes, down=sizes)
    def carry(self, up: int, down: int) -> None:
        self.joined.on_line(lambda line: line.carry_up(up))
        self.joined.on_line(lambda line: line.carry_down(down))

    @rule(times=st.integers(1, 4))
    def exchange(self, times: int) -> None:
        for _ in range(times):
            self.joined.client.settle()
            self.carry(1 << 20, 1 << 20)

    @rule(up=st.one_of(st.just(0), sizes), down=st.one_of(st.just(0), sizes), both=st.booleans())
    def break_line(self, up: int, down: int, both: bool) -> None:
        """Some bytes still arrive; the broker may learn of it only when the client is back."""
        self.joined.client.settle()
        self.carry(up, down)
        self.joined.on_line(Line.client_loses)
        if both:
            self.joined.on_line(Line.broker_loses)

    @rule(times=st.integers(0, 2))
    def connect(self, times: int) -> None:
        self.joined.connect()
        self.exchange(times)

    @rule()
    def goodbye(self) -> None:
        self.joined.client.disconnect()
        self.joined.client.settle()
        if self.joined.line is not None:
            self.joined.line.client_knows = True

    @rule(full=st.booleans())
    def fill(self, full: bool) -> None:
        line = self.joined.line
        if line is None:
            return
        if full:
            line.connection.transport_full()
        else:
            line.connection.transport_ready()
        self.joined.client.settle()

    @rule(seconds=st.sampled_from((1, 25)))
    def wait(self, seconds: int) -> None:
        self.joined.advance(seconds)

    def teardown(self) -> None:
        if not hasattr(self, "joined"):
            return
        self.joined.finish()
        self.check_publications()
        self.check_deliveries()
        self.check_leaks()

    def check_publications(self) -> None:
        """Every publication has ended once, and without an error: the session has lived."""
        joined = self.joined
        assert joined.owner.lost_sessions == [], joined.owner.lost_sessions
        assert Counter(map(id, joined.ended)) == Counter(map(id, joined.published))
        assert [one.error for one in joined.ended if one.error is not None] == []

    def check_deliveries(self) -> None:
        """At least once, and exactly once where both hops are of QoS 2; in order for each topic and QoS."""
        accepted = Counter(int(one.payload) for one in self.joined.accepted)
        assert accepted.keys() == set(range(len(self.joined.published)))
        for number, publication in enumerate(self.joined.published):
            if min(publication.message.qos, self.qos) == 2:
                assert accepted[number] == 1, f"{number} came {accepted[number]} times"
        first = list(dict.fromkeys(int(one.payload) for one in self.joined.came))
        for topic_name in "abc":
            for qos in (1, 2):
                numbers = [one for one in first if self._is(one, topic_name, qos)]
                assert numbers == sorted(numbers), f"{numbers} at QoS {qos}"

    def _is(self, number: int, topic_name: str, qos: int) -> bool:
        message = self.joined.published[number].message
        return message.topic_name == topic_name and message.qos == qos

    def check_leaks(self) -> None:
        """Nothing is remembered of what is over."""
        client = self.joined.client
        outgoing = client.outgoing
        assert outgoing.unfinished == 0 and not outgoing._publications and not outgoing.requests
        assert outgoing.in_flight_size == 0 and outgoing.waiting.size == 0
        assert client.incoming.with_application == 0 and not client.incoming.unreleased
        assert client.held_bytes == 0
        assert not client.incoming._waiting_1 and not client.incoming._waiting_2


class ClientModelTests(SynchronousTestCase):
    def test_model(self) -> None:
        """QoS 1 comes at least once and QoS 2 exactly once, in order, wherever lines break (4.3, 4.6)."""
        run_state_machine_as_test(
            ClientMachine,
            settings=settings(
                max_examples=EXAMPLES or 100,
                stateful_step_count=50,
                deadline=None,
                derandomize=not EXAMPLES,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate] if QUICK else list(Phase),
            ),
        )
