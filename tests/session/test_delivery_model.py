"""Whatever happens to the connection: QoS 1 at least once, QoS 2 exactly once, in order, within the quota.

A receiver that keeps to the specification (4.3) stands at the other end of two pipes. Hypothesis delivers
messages, carries any number of bytes in either direction, fills and empties the transport, cuts the
connection at any byte and lets the client come back with another Receive Maximum. In the end all is carried
to and fro until nothing moves any more, and everything that was taken must have arrived.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.session.grant import Grant
from mqttwist.session.metrics import Drops
from mqttwist.session.outgoing import OutgoingFlow
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_packet, decode_stream
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5, Packet
from mqttwist.wire.publish import Publish
from tests.session.rig import Link

TOPICS = ["a", "b"]
RETRY_INTERVAL = 20.0


class ModelReceiver:
    """The client: it has a session of its own, and takes a message as soon as it comes."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.unreleased: set[int] = set()
        self.taken: list[bytes] = []
        self.arrived: dict[bytes, None] = {}  # taken or refused, in the order of the first copies
        self.aliases: dict[int, str] = {}
        self.topics: dict[bytes, str] = {}

    def connect(self) -> None:
        self.decoder = Decoder(self.version)
        self.aliases.clear()

    def receive(self, data: bytes, refuse: bool) -> list[Packet]:
        """Take bytes; answers what is sent back. `refuse` answers new messages with 0x83 where 5.0 may."""
        self.decoder.feed(data)
        answers: list[Packet] = []
        decoder = self.decoder
        while decoder.advance():
            packet = decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, self.version)
            if isinstance(packet, Publish):
                answers.extend(self.publish(packet, refuse and self.version == MQTT_5))
            elif isinstance(packet, PubRel):
                self.unreleased.discard(packet.packet_id)
                answers.append(PubComp(packet.packet_id))
            else:
                raise AssertionError(f"{packet} is nothing a Server sends here")
        return answers

    def publish(self, packet: Publish, refuse: bool) -> list[Packet]:
        if packet.topic_alias and packet.topic_name:
            self.aliases[packet.topic_alias] = packet.topic_name
        self.topics[packet.payload] = packet.topic_name or self.aliases[packet.topic_alias]
        if packet.qos == 2 and packet.packet_id in self.unreleased:
            return [PubRec(packet.packet_id)]
        self.arrived[packet.payload] = None
        if not (refuse and packet.qos):
            self.taken.append(packet.payload)
        if packet.qos == 1:
            return [PubAck(packet.packet_id, 0x83 if refuse else 0)]
        if packet.qos == 2 and refuse:
            return [PubRec(packet.packet_id, 0x83)]
        if packet.qos == 2:
            self.unreleased.add(packet.packet_id)
            return [PubRec(packet.packet_id)]
        return []


class DeliveryMachine(RuleBasedStateMachine):
    """`OutgoingFlow`, the receiver, and the pipes between them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.broker = Broker(MemoryStore(), self.clock.seconds)
        self.turn = self.broker.turn
        self.link: Link | None = None
        self.down = b""
        self.up = b""
        self.quota = 1
        self.outstanding: set[int] = set()
        self.written: set[bytes] = set()
        self.messages: dict[bytes, tuple[str, int]] = {}  # topic and QoS of what was taken for delivery

    @initialize(
        version=st.sampled_from([MQTT_3_1_1, MQTT_5]),
        messages=st.sampled_from([0, 0, 5]),
        size=st.sampled_from([0, 0, 800]),
    )
    def begin(self, version: int, messages: int, size: int) -> None:
        self.version = version
        self.flow = OutgoingFlow("client", QueueLimits(messages, size, True), Drops())
        self.receiver = ModelReceiver(version)

    # What may happen

    @rule(
        topic=st.sampled_from(TOPICS),
        qos=st.sampled_from([0, 1, 1, 2, 2]),
        identified=st.booleans(),
        padding=st.sampled_from([0, 0, 300]),
    )
    def deliver(self, topic: str, qos: int, identified: bool, padding: int) -> None:
        payload = b"%d" % (len(self.messages) + 1) + b" " * padding
        self.turn.begin()
        identifiers = (7,) if identified else ()
        if self.flow.deliver(Message(topic, payload, qos), Grant(qos, False, identifiers)):
            self.messages[payload] = (topic, qos)
        else:
            self.messages[payload] = (topic, 0)  # dropped and counted: like QoS 0, it need not arrive
        self.end_turn()

    @precondition(lambda self: self.link is None)
    @rule(quota=st.integers(1, 6), aliases=st.sampled_from([0, 1, 3]))
    def connect(self, quota: int, aliases: int) -> None:
        self.turn.begin()
        self.quota = quota
        self.outstanding.clear()
        self.receiver.connect()
        self.link = Link(self.broker, self.version, self.flow)
        self.acknowledgements = Decoder(self.version)
        self.flow.attach(self.link.connection, quota, aliases)
        self.flow.resume()
        self.end_turn()

    @precondition(lambda self: self.link is not None)
    @rule()
    def lose(self) -> None:
        self.down = self.up = b""
        self.link = None
        self.flow.detach()

    @precondition(lambda self: self.down)
    @rule(size=st.integers(1, 400), refuse=st.sampled_from([False, False, False, True]))
    def carry_down(self, size: int, refuse: bool) -> None:
        data, self.down = self.down[:size], self.down[size:]
        answers = self.receiver.receive(data, refuse)
        self.up += b"".join([answer.encode(self.version) for answer in answers])

    @precondition(lambda self: self.up)
    @rule(size=st.integers(1, 30))
    def carry_up(self, size: int) -> None:
        data, self.up = self.up[:size], self.up[size:]
        if self.link is not None:
            self.acknowledge(data)
            self.link.connection.receive_data(data)
        self.end_turn()

    @precondition(lambda self: self.link is not None and not self.link.connection.blocked)
    @rule()
    def fill(self) -> None:
        if self.link is not None:
            self.link.connection.transport_full()

    @precondition(lambda self: self.link is not None and self.link.connection.blocked)
    @rule()
    def empty(self) -> None:
        if self.link is not None:
            self.link.connection.transport_ready()
        self.end_turn()

    @rule(seconds=st.sampled_from([1.0, 15.0, 25.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turn.begin()
        self.flow.send_overdue(RETRY_INTERVAL)
        self.end_turn()

    # What must hold

    def end_turn(self) -> None:
        """Look at all that is written, as the specification binds it, and put it into the pipe."""
        self.turn.end()
        if self.link is None:
            return
        for packet in decode_stream(b"".join(self.link.recorder.writes), self.version):
            if isinstance(packet, Publish):
                self.look_at(packet)
        self.down += b"".join(self.link.recorder.writes)
        self.link.recorder.writes.clear()
        assert len(self.outstanding) <= self.quota  # [MQTT-3.3.4-9]

    def acknowledge(self, data: bytes) -> None:
        """Note what the sender is about to learn: this message no longer counts against the quota (4.9)."""
        decoder = self.acknowledgements
        decoder.feed(data)
        while decoder.advance():
            packet = decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, self.version)
            assert isinstance(packet, Acknowledgement)
            if not isinstance(packet, PubRec) or packet.reason_code >= 0x80:
                self.outstanding.discard(packet.packet_id)

    def look_at(self, packet: Publish) -> None:
        assert packet.qos or not packet.dup  # [MQTT-3.3.1-2]
        if packet.dup:
            assert packet.payload in self.messages
        else:
            assert packet.payload not in self.written  # [MQTT-3.3.1-1]
            assert not packet.qos or packet.packet_id not in self.outstanding  # [MQTT-2.2.1-4]
        self.written.add(packet.payload)
        if packet.qos:
            self.outstanding.add(packet.packet_id)

    @invariant()
    def exactly_once(self) -> None:
        """QoS 2 never arrives twice, QoS 0 neither."""
        if not self.messages:
            return
        for payload, (topic, qos) in self.messages.items():
            count = self.receiver.taken.count(payload)
            assert count <= 1 or qos == 1
            assert self.receiver.topics.get(payload, topic) == topic

    @invariant()
    def in_order(self) -> None:
        """The first copies of messages of one topic and QoS arrive in their order [MQTT-4.6.0-5]."""
        if not self.messages:
            return
        for wanted in {(topic, qos) for topic, qos in self.messages.values()}:
            first = [one for one in self.receiver.arrived if self.messages[one] == wanted]
            assert first == sorted(first, key=int)

    def teardown(self) -> None:
        """Carry everything to and fro: all that had to arrive arrives, and nothing is left."""
        if self.link is None:
            self.connect(2, 1)
        for _ in range(10 * len(self.messages) + 10):
            if self.link is not None and self.link.connection.blocked:
                self.empty()
            if self.down:
                self.carry_down(len(self.down), False)
            if self.up:
                self.carry_up(len(self.up))
        assert not (self.down or self.up)
        assert (len(self.flow.waiting), len(self.flow.in_flight)) == (0, 0)
        assert self.receiver.unreleased == set()
        arrived = self.receiver.arrived
        lost = [payload for payload, (_, qos) in self.messages.items() if qos and payload not in arrived]
        assert lost == []


class DeliveryModelTests(SynchronousTestCase):
    def test_model(self) -> None:
        """QoS 1 arrives at least once, QoS 2 exactly once, in order, within the quota; nothing stalls."""
        run_state_machine_as_test(
            DeliveryMachine, settings=settings(max_examples=150, stateful_step_count=60, deadline=None)
        )
