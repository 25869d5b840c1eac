"""What `micro.py` measures: single steps of the core, and whole ways through it, without sockets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import repeat

from meter import Meter

from mqttwist.broker.broker import Broker
from mqttwist.broker.local import WaitingReceiver
from mqttwist.session.metrics import Drops
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import Connect
from mqttwist.wire.control import Disconnect
from mqttwist.wire.message import FORM_MQTT_5, Message
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions

BATCH = 400  # messages of one read
SUBSCRIBERS = 100  # of a fan-out
FAN_OUT_BATCH = 20  # messages of one read of it
SPREAD = 100_000  # topics
KNOWN_FILTERS = 10_000  # among which a new topic is looked up
USER_PROPERTIES = Properties(user_properties=(("trace-id", "abcdef01"), ("origin", "sensor-17")))
PAYLOAD = bytes(64)


# What a case is made of

Round = Callable[[Meter], int]
"""Does the work once, the part that counts between `meter.start()` and `meter.stop()`; how many messages."""


class Peer:
    """A client, and the transport that keeps what the broker writes to it."""

    def __init__(self, broker: Broker, client_id: str, version: int, clean_start: bool = True) -> None:
        self.version = version
        self.written: list[bytes] = []
        self.connection = broker.connect(self, client_id)
        connect = Connect(client_id, version, clean_start)
        if version == 5 and not clean_start:
            connect.properties = Properties(session_expiry_interval=3600)
        self._connect = connect.encode()

    def connect(self) -> Peer:
        self.connection.receive_data(self._connect)
        return self

    def subscribe(self, topic_filter: str, qos: int) -> None:
        options = [SubscriptionOptions(topic_filter, qos)]
        self.connection.receive_data(Subscribe(1, options).encode(self.version))
        self.written.clear()

    def disconnect(self) -> None:
        self.connection.receive_data(Disconnect().encode(self.version))

    def answers(self) -> bytes:
        """What a good client says to all that was written to it since the last call."""
        packets = decode_stream(b"".join(self.written), self.version)
        self.written.clear()
        return b"".join([one.encode(self.version) for one in map(answer, packets) if one is not None])

    # What a connection asks of its transport

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        """Nothing has to be closed."""

    def pause_reading(self) -> None:
        raise RuntimeError("a benchmark has sent more than the broker wants to hold")

    def resume_reading(self) -> None:
        """Nothing was paused."""


def answer(packet: Packet | Publish) -> Acknowledgement | None:
    """The next packet of the exchange that `packet` belongs to (4.3); None where there is none."""
    if isinstance(packet, Publish) and packet.qos:
        return PubAck(packet.packet_id) if packet.qos == 1 else PubRec(packet.packet_id)
    if isinstance(packet, PubRec):
        return PubRel(packet.packet_id)
    if isinstance(packet, PubRel):
        return PubComp(packet.packet_id)
    return None


def idle_receiver() -> WaitingReceiver:
    """A subscriber inside the process, for routes to lead to."""
    return WaitingReceiver("idle", QueueLimits(0, 0, True), Drops(), lambda: None)


def new_broker() -> Broker:
    return Broker(MemoryStore(), time.monotonic)


def publishes(messages: int, version: int, qos: int, properties: Properties | None = None) -> bytes:
    """One read: as many messages to one topic."""
    packet_ids = range(1, messages + 1) if qos else repeat(0, messages)
    packets = [Publish("bench/0/x", PAYLOAD, qos, False, properties, packet_id) for packet_id in packet_ids]
    return b"".join([packet.encode(version) for packet in packets])


def exhaust(results: Iterable[object]) -> None:
    """Run an iterator to its end at the speed of C, so that the loop itself weighs little."""
    deque(results, maxlen=0)


# One step each


def decode(version: int, qos: int, properties: Properties | None = None) -> Round:
    """Bytes -> `Publish`."""
    data = publishes(BATCH, version, qos, properties)

    def work(meter: Meter) -> int:
        meter.start()
        packets = decode_stream(data, version)
        meter.stop()
        return len(packets)

    return work


def route(topics: int) -> Round:
    """Topic Name -> subscribers, each topic known already."""
    broker = new_broker()
    broker.subscribe(idle_receiver(), SubscriptionOptions("bench/+/x"))
    names = [f"bench/{number}/x" for number in range(topics)]
    for _ in range(2):
        exhaust(map(broker.router.subscriptions.route, names))
    start = 0

    def work(meter: Meter) -> int:
        nonlocal start
        some = [names[(start + number * 997) % topics] for number in range(BATCH)]
        start += BATCH
        meter.start()
        exhaust(map(broker.router.subscriptions.route, some))
        meter.stop()
        return len(some)

    return work


def route_new() -> Round:
    """Topic Name -> subscribers, each topic for the first time, among `KNOWN_FILTERS`."""
    broker = new_broker()
    receiver = idle_receiver()
    for number in range(KNOWN_FILTERS):
        broker.subscribe(receiver, SubscriptionOptions(f"site/{number}/+/x"))
    seen = 0

    def work(meter: Meter) -> int:
        nonlocal seen
        names = [f"site/{number % KNOWN_FILTERS}/{number}/x" for number in range(seen, seen + BATCH)]
        seen += BATCH
        meter.start()
        exhaust(map(broker.router.subscriptions.route, names))
        meter.stop()
        return len(names)

    return work


def deliver(qos: int) -> Round:
    """`Message` -> the outbox of its one subscriber, and the write; the acknowledgements don't count."""
    broker = new_broker()
    subscriber = Peer(broker, "subscriber", 4).connect()
    subscriber.subscribe("bench/0/x", qos)
    data = publishes(BATCH, 4, qos)

    def work(meter: Meter) -> int:
        messages = [packet for packet in decode_stream(data, 4) if isinstance(packet, Publish)]
        before = broker.metrics.publishes_sent
        meter.start()
        exhaust(map(broker.router.publish, messages, repeat(None)))
        broker.turn.end()
        meter.stop()
        subscriber.connection.receive_data(subscriber.answers())
        return broker.metrics.publishes_sent - before

    return work


def encode(version: int, qos: int) -> Round:
    """`Message` -> bytes, in a form in which it did not come."""
    messages = [Message("bench/0/x", PAYLOAD, 0, False, USER_PROPERTIES) for _ in range(BATCH)]
    form = qos | (FORM_MQTT_5 if version == 5 else 0)

    def work(meter: Meter) -> int:
        for message in messages:
            message.forms = None
        meter.start()
        exhaust(map(Message.form, messages, repeat(form)))
        meter.stop()
        return len(messages)

    return work


# The whole way


def pipe(
    version: int, qos: int, properties: Properties | None = None, to_version: int = 0, subscribers: int = 1
) -> Round:
    """One publisher to one or many subscribers: everything from the read to the last acknowledgement."""
    broker = new_broker()
    publisher = Peer(broker, "publisher", version).connect()
    peers = [publisher]
    for number in range(subscribers):
        peers.append(Peer(broker, f"subscriber-{number}", to_version or version).connect())
        peers[-1].subscribe("bench/0/x", qos)
    data = publishes(BATCH if subscribers == 1 else FAN_OUT_BATCH, version, qos, properties)

    def work(meter: Meter) -> int:
        before = broker.metrics.publishes_sent
        say: list[tuple[Peer, bytes]] = [(publisher, data)]
        while say:
            for peer, said in say:
                meter.start()
                peer.connection.receive_data(said)
                meter.stop()
            if not qos:
                break
            say = [(peer, said) for peer, said in [(peer, peer.answers()) for peer in peers] if said]
        for peer in peers:
            peer.written.clear()
        return broker.metrics.publishes_sent - before

    publisher.written.clear()
    return work


def spread(topics: int, topic_filter: str) -> Round:
    """One publisher whose messages go to one topic after the other, to one subscriber by a wildcard."""
    broker = new_broker()
    subscriber = Peer(broker, "subscriber", 4).connect()
    subscriber.subscribe(topic_filter, 0)
    publisher = Peer(broker, "publisher", 4).connect()
    pattern = Publish(topic_filter.replace("+", "0000000"), PAYLOAD).encode(4)
    packets = [pattern.replace(b"0000000", b"%07d" % number, 1) for number in range(topics)]
    reads = [b"".join(packets[start : start + BATCH]) for start in range(0, topics, BATCH)]
    for data in reads * 2:
        publisher.connection.receive_data(data)
    position = 0

    def work(meter: Meter) -> int:
        nonlocal position
        subscriber.written.clear()
        position = (position + 1) % len(reads)
        before = broker.metrics.publishes_sent
        meter.start()
        publisher.connection.receive_data(reads[position])
        meter.stop()
        return broker.metrics.publishes_sent - before

    return work


def offline(version: int, returning: bool) -> Round:
    """QoS 1 for a client that is away: queued, or (`returning`) sent when it comes back."""
    broker = new_broker()
    publisher = Peer(broker, "publisher", version).connect()
    data = publishes(BATCH, version, 1)

    def work(meter: Meter) -> int:
        Peer(broker, "subscriber", version).connect().disconnect()  # begin without the session of last time
        away = Peer(broker, "subscriber", version, clean_start=False).connect()
        away.subscribe("bench/0/x", 1)
        away.disconnect()
        received, sent = broker.metrics.publishes_received, broker.metrics.publishes_sent
        if not returning:
            meter.start()
        publisher.connection.receive_data(data)
        if not returning:
            meter.stop()
            publisher.written.clear()
            return broker.metrics.publishes_received - received
        publisher.written.clear()
        back = Peer(broker, "subscriber", version, clean_start=False)
        meter.start()
        back.connect()
        meter.stop()
        return broker.metrics.publishes_sent - sent

    return work


def connect(version: int) -> Round:
    """CONNECT, CONNACK, DISCONNECT: each connection counts as a message."""
    broker = new_broker()

    def work(meter: Meter) -> int:
        peers = [Peer(broker, f"client-{number}", version) for number in range(50)]
        meter.start()
        for peer in peers:
            peer.connect()
            peer.disconnect()
        meter.stop()
        return len(peers)

    return work


CASES: dict[str, Callable[[], Round]] = {
    "decode": lambda: decode(4, 0),
    "decode v5 with 2 user properties": lambda: decode(5, 0, USER_PROPERTIES),
    "decode QoS 1": lambda: decode(4, 1),
    "route": lambda: route(1),
    f"route {SPREAD:,} topics": lambda: route(SPREAD),
    "route a new topic": route_new,
    "deliver": lambda: deliver(0),
    "deliver QoS 1": lambda: deliver(1),
    "encode v3.1.1": lambda: encode(4, 0),
    "encode v5 QoS 1": lambda: encode(5, 1),
    "pipe": lambda: pipe(4, 0),
    "pipe v5": lambda: pipe(5, 0),
    "pipe v5 with 2 user properties": lambda: pipe(5, 0, USER_PROPERTIES),
    "pipe v5 to v3.1.1": lambda: pipe(5, 0, USER_PROPERTIES, 4),
    "pipe QoS 1": lambda: pipe(4, 1),
    "pipe v5 QoS 1": lambda: pipe(5, 1),
    "pipe QoS 2": lambda: pipe(4, 2),
    "pipe v5 QoS 2": lambda: pipe(5, 2),
    f"fan-out {SUBSCRIBERS}": lambda: pipe(4, 0, subscribers=SUBSCRIBERS),
    f"fan-out {SUBSCRIBERS} QoS 1": lambda: pipe(4, 1, subscribers=SUBSCRIBERS),
    f"pipe {SPREAD:,} topics": lambda: spread(SPREAD, "bench/+/x"),
    f"pipe {SPREAD:,} siblings": lambda: spread(SPREAD, "bench/x/+"),
    "offline queue": lambda: offline(4, returning=False),
    "offline queue v5": lambda: offline(5, returning=False),
    "back from offline": lambda: offline(4, returning=True),
    "connect": lambda: connect(4),
    "connect v5": lambda: connect(5),
}
