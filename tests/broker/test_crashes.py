"""A broker is killed at every moment of an exchange: nothing acknowledged is lost, QoS 2 comes once.

A publisher and a subscriber that keep their own state as the specification wants it (4.1, 4.4) exchange
messages through a broker. What may happen next is a choice: a packet of the publisher or of the subscriber
arrives, or the frame under way is committed. All orders of these are gone through; in each state that they
lead to, the broker is killed, with the frame under way stored or not, and with what it last wrote received
or lost. Then another broker runs, and both clients come back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from mqttwist.broker.connection import ServerConnection
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions
from tests.broker.durable import NAMES, Disk, DurableTestCase
from tests.broker.harness import START, AnyPacket, RecordingTransport

COMMIT = 2  # among the choices; before it, a packet of the publisher, and of the subscriber


class Everything:
    """May be done."""

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        return True

    def may_subscribe(self, topic_filter: str, qos: int) -> bool:
        return True

    def may_receive(self, topic_name: str) -> bool:
        return True


def let_everybody_do_everything(connection: ServerConnection, connect: Connect) -> None:
    """A login after which clients have rights."""
    connection.accept(Everything())


class Peer:
    """A client with a session that it keeps; what it sends waits in `pipe` until it is let through."""

    def __init__(self, case: CrashTestCase, client_id: str, version: int) -> None:
        self.case = case
        self.client_id = client_id
        self.version = version
        self.pipe: deque[AnyPacket] = deque()
        self.transport = RecordingTransport()
        self.read = 0

    def come(self) -> None:
        """Make a Network Connection: CONNECT is on its way."""
        self.transport = RecordingTransport()
        self.read = 0
        self.connection = self.case.broker.connect(self.transport, self.client_id)
        connect = Connect(self.client_id, self.version, clean_start=False)
        if self.version == 5:
            connect.properties = Properties(session_expiry_interval=1000)
        self.pipe = deque([connect])

    def let_one_through(self) -> None:
        """The first packet that waits arrives at the broker."""
        self.connection.receive_data(self.pipe.popleft().encode(self.version))

    def listen(self) -> None:
        """Take what the broker has written."""
        data = self.transport.data[self.read :]
        self.read += len(data)
        for packet in decode_stream(data, self.version):
            self.heard(packet)

    @property
    def is_behind(self) -> bool:
        """Whether there is something that it has not listened to."""
        return self.read < len(self.transport.data)

    def heard(self, packet: AnyPacket) -> None:
        raise NotImplementedError


class Publisher(Peer):
    """Publishes `messages` and sends again what is not acknowledged. `acknowledged` are payloads."""

    def __init__(self, case: CrashTestCase, version: int, messages: list[tuple[bytes, int]]) -> None:
        super().__init__(case, "publisher", version)
        self.acknowledged: list[bytes] = []
        self.payloads = {packet_id: payload for packet_id, (payload, _) in enumerate(messages, 1)}
        self.open: dict[int, Packet | Publish] = {
            packet_id: Publish("topic", payload, qos, packet_id=packet_id)
            for packet_id, (payload, qos) in enumerate(messages, 1)
        }
        self.sent: set[int] = set()

    def heard(self, packet: AnyPacket) -> None:
        if isinstance(packet, ConnAck):
            for packet_id, each in self.open.items():
                if isinstance(each, Publish):
                    each.dup = packet_id in self.sent
                self.sent.add(packet_id)
                self.pipe.append(each)
        elif isinstance(packet, PubAck):
            self.has_it(packet.packet_id)
            del self.open[packet.packet_id]
        elif isinstance(packet, PubRec):
            self.has_it(packet.packet_id)
            release = PubRel(packet.packet_id)
            self.open[packet.packet_id] = release
            self.pipe.append(release)
        elif isinstance(packet, PubComp):
            self.open.pop(packet.packet_id, None)

    def has_it(self, packet_id: int) -> None:
        payload = self.payloads[packet_id]
        if payload not in self.acknowledged:
            self.acknowledged.append(payload)


class Subscriber(Peer):
    """Takes messages, each of QoS 2 once. `taken` are their payloads, `unreleased` is its Session State."""

    def __init__(self, case: CrashTestCase, version: int) -> None:
        super().__init__(case, "subscriber", version)
        self.taken: list[tuple[bytes, int]] = []
        self.unreleased: set[int] = set()

    def heard(self, packet: AnyPacket) -> None:
        if isinstance(packet, Publish) and packet.qos == 1:
            self.taken.append((packet.payload, 1))
            self.pipe.append(PubAck(packet.packet_id))
        elif isinstance(packet, Publish):
            if packet.packet_id not in self.unreleased:
                self.taken.append((packet.payload, 2))
                self.unreleased.add(packet.packet_id)
            self.pipe.append(PubRec(packet.packet_id))
        elif isinstance(packet, PubRel):
            self.unreleased.discard(packet.packet_id)
            self.pipe.append(PubComp(packet.packet_id))


class CrashTestCase(DurableTestCase):
    """One exchange, step by step."""

    def setUp(self) -> None:
        super().setUp()
        self.prepared: dict[int, Disk] = {}

    def begin(self, version: int, *qos: int) -> None:
        """Both clients have made a connection; one is about to publish a message of each `qos`.

        The subscriber has subscribed before.
        """
        self.now = START
        self.messages = [(b"%d" % n, each) for n, each in enumerate(qos)]
        if version not in self.prepared:
            self.prepare(version)
        self.disk = self.prepared[version].copy()
        self.holding = True
        self.boot()
        self.publisher = Publisher(self, version, self.messages)
        self.subscriber = Subscriber(self, version)
        self.publisher.come()
        self.subscriber.come()

    def prepare(self, version: int) -> None:
        """Let the subscriber subscribe, once for all tests."""
        self.holding = False
        self.disk = Disk()
        self.boot()
        subscriber = Subscriber(self, version)
        subscriber.come()
        subscriber.pipe.append(Subscribe(1, [SubscriptionOptions("topic", 2)]))
        self.settle(subscriber)
        subscriber.connection.lost("gone")
        self.prepared[version] = self.disk

    def settle(self, *peers: Peer) -> None:
        """Let everything through until nothing is on its way."""
        while any(peer.pipe for peer in peers) or self.disk.pending is not None:
            for peer in peers:
                while peer.pipe:
                    peer.let_one_through()
                    peer.listen()
            self.commit_all()
            for peer in peers:
                peer.listen()

    def choices(self) -> list[int]:
        """What may happen next."""
        possible = (self.publisher.pipe, self.subscriber.pipe, self.disk.pending is not None)
        return [n for n, one in enumerate(possible) if one]

    def step(self, choice: int, is_heard: bool = True) -> None:
        """One of `choices` happens; what the broker writes then is received, or else on its way."""
        if choice == COMMIT:
            self.commit()
        else:
            (self.publisher, self.subscriber)[choice].let_one_through()
        if is_heard:
            self.publisher.listen()
            self.subscriber.listen()

    def state(self) -> str:
        """What is the same in two states from which the same can happen."""
        journal = self.store.journal
        session = self.broker.sessions.get("subscriber")
        in_flight = {} if session is None else session.outgoing.in_flight
        return repr(
            (
                [(packet_id, repr(one)) for packet_id, one in self.publisher.open.items()],
                list(self.publisher.pipe),
                self.publisher.acknowledged,
                list(self.subscriber.pipe),
                self.subscriber.taken,
                self.subscriber.unreleased,
                [self.disk.rows(name) for name in NAMES],
                None if self.disk.pending is None else self.disk.pending.changes,
                journal.changes - journal.sealed_changes,
                [(packet_id, one.awaiting) for packet_id, one in in_flight.items()],
            )
        )

    def crash_and_check(self, kept: bool) -> None:
        """Kill the broker; see what the subscriber gets, then let the publisher go on."""
        self.crash(kept=kept)
        self.holding = False
        self.subscriber.come()
        self.settle(self.subscriber)
        payloads = [payload for payload, _ in self.subscriber.taken]
        for payload in self.publisher.acknowledged:
            self.assertIn(payload, payloads, "it was acknowledged, and is lost")
        self.publisher.come()
        self.settle(self.publisher, self.subscriber)
        self.check_end()

    def check_end(self) -> None:
        """All is through: everything came, QoS 2 once and in order, and nothing is left in the store."""
        taken = self.subscriber.taken
        self.assertEqual(self.publisher.open, {})
        self.assertEqual({payload for payload, _ in taken}, {payload for payload, _ in self.messages})
        for qos in (1, 2):
            firsts = list(dict.fromkeys(payload for payload, each in taken if each == qos))
            self.assertEqual(firsts, [payload for payload, each in self.messages if each == qos])
        once = [payload for payload, each in taken if each == 2]
        self.assertEqual(len(once), len(set(once)), "QoS 2 came twice")
        self.assertEqual(self.disk.counts(), {"session": 2, "subscription": 1})


class EveryCrashTests(CrashTestCase):
    """All orders of what may happen, and a crash at each point."""

    def paths(self, version: int, *qos: int) -> Iterator[list[int]]:
        """The shortest way to each state, those first from which others are reached."""
        seen: set[str] = set()
        ways: deque[list[int]] = deque([[]])
        while ways:
            way = ways.popleft()
            self.begin(version, *qos)
            for choice in way:
                self.step(choice)
            state = self.state()
            if state not in seen:
                seen.add(state)
                choices = self.choices()
                ways.extend([*way, choice] for choice in choices)
                if not choices:
                    self.check_end()
                yield way

    def crash_everywhere(self, version: int, *qos: int) -> int:
        """Crash in each state; how many states there are."""
        states = 0
        for way in self.paths(version, *qos):
            states += 1
            self.crash_after(way, True, version, *qos)
            self.crash_after(way, False, version, *qos)
        return states

    def crash_after(self, way: list[int], is_heard: bool, version: int, *qos: int) -> None:
        """Crash at the end of a way, once or twice: a frame under way may have been stored or not."""
        for kept in (False, True):
            self.begin(version, *qos)
            for n, choice in enumerate(way, 1):
                self.step(choice, is_heard or n < len(way))
            if kept and self.disk.pending is None:
                break
            if is_heard or self.publisher.is_behind or self.subscriber.is_behind:
                self.crash_and_check(kept)

    def test_one_message(self) -> None:
        """One message of QoS 1 or 2, in each version."""
        for version in (3, 4, 5):
            self.assertGreater(self.crash_everywhere(version, 1), 20)
            self.assertGreater(self.crash_everywhere(version, 2), 40)

    def test_two_messages(self) -> None:
        """Two messages, of which the second is of QoS 2."""
        self.assertGreater(self.crash_everywhere(5, 1, 2), 100)
        self.assertGreater(self.crash_everywhere(5, 2, 2), 200)

    def test_with_an_authority(self) -> None:
        """The same where every client's rights are looked at when it comes."""
        self.login = let_everybody_do_everything
        self.assertGreater(self.crash_everywhere(5, 2), 40)


class SomeCrashesTests(CrashTestCase):
    """Longer exchanges with crash after crash, at random."""

    @given(
        st.sampled_from([3, 4, 5]),
        st.lists(st.sampled_from([1, 2]), min_size=1, max_size=5),
        st.lists(st.integers(0, 999), min_size=30, max_size=120),
    )
    @settings(max_examples=100, deadline=None)
    def test_many_crashes(self, version: int, qos: list[int], luck: list[int]) -> None:
        """However often the broker is killed."""
        self.begin(version, *qos)
        for number in luck:
            choices = self.choices()
            kind, which = number % 10, number // 10
            if kind == 0 or not choices:
                self.crash(after=1.0, kept=which % 2 == 1)
                self.publisher.come()
                self.subscriber.come()
            else:
                self.step(choices[which % len(choices)], kind > 2)
        self.crash_and_check(kept=False)
