"""Orders of events in which something promised was lost once, or sent twice."""

from __future__ import annotations

from typing import TypeVar

from mqttwist.session.journal import PENDING_AGE
from mqttwist.wire.acknowledge import PubComp, PubRec
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions
from tests.broker.durable import DurableTestCase
from tests.broker.harness import TestClient

Kind = TypeVar("Kind")


def taken(client: TestClient, kind: type[Kind]) -> list[Kind]:
    """The packets of this kind among all that have come."""
    return [packet for packet in client.take() if isinstance(packet, kind)]


class NewSessionTests(DurableTestCase):
    """That there is no session any more is a promise, too: CONNACK with Session Present 0 waits for it."""

    def test_clean_start(self) -> None:
        """A Packet Identifier of the session before is free when CONNACK has come, and not before."""
        self.persistent("s").subscribe("x", qos=2)
        client = self.persistent("c")
        client.publish("x", b"old", 2, packet_id=1)
        client.lose()
        self.holding = True
        client = self.client()
        client.send_connect("c", clean_start=True, session_expiry_interval=100)
        self.assertEqual(client.take(), [])
        self.commit_all()
        self.assertFalse(client.take_one(ConnAck).session_present)
        self.crash()
        client = self.persistent("c")
        client.publish("x", b"new", 2, packet_id=1)
        self.holding = False
        self.commit_all()
        self.assertEqual(self.persistent("s").payloads(), [b"old", b"new"])

    def test_crash_before(self) -> None:
        """If the broker ends first, the client was told nothing, and finds its old session."""
        self.persistent("c").lose()
        self.holding = True
        client = self.client()
        client.send_connect("c", clean_start=True, session_expiry_interval=100)
        self.crash()
        self.holding = False
        self.assertIsNotNone(self.broker.sessions.get("c"))

    def test_gone_while_it_waits(self) -> None:
        """A client that goes before its CONNACK leaves nothing behind."""
        self.persistent("c").lose()
        self.holding = True
        client = self.client()
        client.send_connect("c", clean_start=True)
        client.lose()
        self.commit_all()
        self.assertEqual((client.take(), len(self.broker.sessions)), ([], 0))

    def test_others(self) -> None:
        """A client without a session before does not wait."""
        self.holding = True
        self.persistent("other")
        self.assertFalse(self.connected("new").is_closed)


class PacketIdentifierTests(DurableTestCase):
    def test_sent_from_the_queue(self) -> None:
        """A PUBLISH of QoS 2 waits for its identifier to be stored, even if nothing else is to be stored."""
        subscriber = self.persistent("s")
        subscriber.subscribe("t", qos=2)
        publisher = self.connected("p")
        for _ in range(5):
            publisher.publish("t", b"x", 2)
        for publish in taken(subscriber, Publish):
            subscriber.send(PubRec(publish.packet_id))
            subscriber.send(PubComp(publish.packet_id))
        subscriber.lose()
        for _ in range(30):
            publisher.publish("t", bytes(10_000))
        publisher.publish("t", b"once", 2)
        self.broker.turn.wake = lambda: None
        subscriber = self.persistent("s")
        subscriber.take()
        self.holding = True
        self.broker.turn.go_on()
        self.assertEqual([one for one in taken(subscriber, Publish) if one.qos], [])
        self.commit_all()
        (first,) = [one for one in taken(subscriber, Publish) if one.qos]
        self.holding = False
        self.crash()
        (again,) = taken(self.persistent("s"), Publish)
        self.assertEqual((again.packet_id, again.dup), (first.packet_id, True))


class SharedBodyTests(DurableTestCase):
    def test_two_groups(self) -> None:
        """A body that a session was to get twice goes to others as a whole when that session ends."""
        other = self.persistent("b")
        other.subscribe("$share/g1/t", "$share/g2/t", qos=1)
        other.lose()
        self.persistent("a").subscribe("$share/g1/t", "$share/g2/t", qos=1)
        self.connected("p").publish("t", b"m", 1)
        self.crash()
        self.client().connect("a", clean_start=True)
        self.crash()
        self.assertEqual(self.persistent("b").payloads(), [b"m", b"m"])


class SlowDiskTests(DurableTestCase):
    def test_a_subscriber_is_read_from(self) -> None:
        """Only who publishes waits for the disk: a subscriber with a packet withheld is answered."""
        subscriber = self.persistent("s")
        subscriber.subscribe("t", qos=2)
        self.holding = True
        self.connected("p").publish("t", b"m", 2)
        self.advance(PENDING_AGE + 1)
        for _ in range(2):  # the first one would stop the reading
            self.assertEqual(subscriber.send(PingReq()), [PingResp()])
            self.assertFalse(subscriber.connection.reading_is_paused)

    def test_sessions_that_come_and_go(self) -> None:
        """While nothing can be stored, sessions that begin and end leave nothing to be stored."""
        self.holding = True
        self.persistent("first")
        size = len(self.store.journal._sessions)
        for _ in range(100):
            client = self.client()
            client.connect("c", clean_start=True, session_expiry_interval=100)
            client.send(Subscribe(1, [SubscriptionOptions("a", 1)]))
            client.disconnect(session_expiry_interval=0)
        self.assertEqual(len(self.store.journal._sessions), size)
        self.assertEqual(self.store.journal._wills, {})
