"""Another broker takes up what was stored: clocks that went on, wills that came due, numbers, bodies."""

from __future__ import annotations

from typing import Any

from mqttwist.broker.settings import Settings
from mqttwist.session.queue_changes import OWN_BODY
from mqttwist.wire.acknowledge import PubRec, PubRel
from mqttwist.wire.connect import Will
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.broker.durable import DurableTestCase
from tests.broker.harness import TestClient
from tests.broker.test_crashes import let_everybody_do_everything


def will(delay: int = 0, qos: int = 1, retain: bool = False, payload: bytes = b"gone") -> Will:
    return Will("will", payload, qos, retain, Properties(will_delay_interval=delay or None))


class RestartTestCase(DurableTestCase):
    def keeps(self, client_id: str, **options: Any) -> TestClient:
        """A client with a session that is kept for 100 s, if nothing else is said."""
        return self.persistent(client_id, **options)

    def is_there(self, client_id: str) -> bool:
        return self.broker.sessions.get(client_id) is not None

    def watch(self, topic_filter: str = "will") -> None:
        """A session without its client that keeps messages for a long time."""
        watcher = self.keeps("watcher", session_expiry_interval=10_000)
        watcher.subscribe(topic_filter, qos=1)
        watcher.lose()

    def watched(self) -> list[bytes]:
        """What has come for it."""
        return self.keeps("watcher", session_expiry_interval=10_000).payloads()


class SessionExpiryTests(RestartTestCase):
    """Session Expiry (3.1.2.11.2) goes on while no broker runs."""

    def test_a_client_that_had_left(self) -> None:
        """The time since the client left counts, that without a broker included."""
        for client_id in ("a", "b"):
            self.keeps(client_id, session_expiry_interval=100 if client_id == "a" else 101).lose()
        self.advance(40)
        self.crash(after=60)
        self.assertEqual((self.is_there("a"), self.is_there("b")), (False, True))
        self.advance(1)
        self.assertFalse(self.is_there("b"))
        self.assertNotIn("session", self.disk.counts())

    def test_a_client_that_was_connected(self) -> None:
        """For a client that was connected when the broker was killed, time began then."""
        self.keeps("a")
        self.advance(1000)
        self.crash(after=99)
        self.assertTrue(self.is_there("a"))
        self.advance(1)
        self.assertFalse(self.is_there("a"))

    def test_two_crashes(self) -> None:
        """It does not begin anew with the next broker."""
        self.keeps("a")
        self.crash(after=50)
        self.advance(10)
        self.crash(after=39)
        self.assertTrue(self.is_there("a"))
        self.crash(after=1)
        self.assertFalse(self.is_there("a"))

    def test_the_wall_clock(self) -> None:
        """What is stored is time of the wall clock: the broker's own clock may begin anew."""
        self.keeps("a").lose()
        self.advance(50)
        self.now, self.jumped = 7.0, self.jumped + self.now - 7.0
        self.crash(after=49)
        self.assertTrue(self.is_there("a"))
        self.advance(1)
        self.assertFalse(self.is_there("a"))

    def test_a_clock_that_was_ahead(self) -> None:
        """If the wall clock was set back, sessions do not last for as much longer."""
        self.keeps("connected")
        self.keeps("left").lose()
        self.disk.alive_at = self.wall()
        self.jumped -= 5000
        self.boot()
        self.advance(100)
        self.assertEqual((self.is_there("connected"), self.is_there("left")), (False, False))

    def test_a_session_for_good(self) -> None:
        """One that never expires is there after years; so is one of MQTT 3.1.1."""
        self.keeps("5", session_expiry_interval=0xFFFFFFFF).lose()
        self.keeps("4", version=4).lose()
        self.crash(after=1e9)
        self.assertEqual((self.is_there("5"), self.is_there("4")), (True, True))

    def test_a_session_that_should_have_ended_with_its_connection(self) -> None:
        """A session whose expiry became 0 has ended with the broker: nothing of it stays in the file."""
        client = self.keeps("a")
        client.subscribe("t", qos=2)
        client.lose()
        publisher = self.connected("p")
        for qos in (1, 2):
            publisher.publish("t", b"", qos)
        self.keeps("a", session_expiry_interval=0)
        self.crash()
        self.assertFalse(self.is_there("a"))
        self.assertEqual(self.disk.counts(), {})


class MessageExpiryTests(RestartTestCase):
    """Message Expiry (3.3.2.3.3) goes on, too."""

    def test_a_message_that_waits(self) -> None:
        """The time without a broker counts, and is taken off what the client is told [MQTT-3.3.2-6]."""
        self.watch("t")
        publisher = self.connected("p")
        publisher.publish("t", b"short", 1, message_expiry_interval=30)
        publisher.publish("t", b"long", 1, message_expiry_interval=60)
        self.advance(10)
        self.crash(after=25)
        message = self.keeps("watcher").take_one(Publish)
        self.assertEqual((message.payload, message.message_expiry_interval), (b"long", 25))

    def test_a_retained_message(self) -> None:
        """One that expired meanwhile is gone, also from the file."""
        publisher = self.connected("p")
        publisher.publish("short", b"1", 0, True, message_expiry_interval=30)
        publisher.publish("long", b"1", 0, True, message_expiry_interval=60)
        publisher.publish("ever", b"1", 0, True)
        self.crash(after=40)
        self.assertEqual(sorted(row["topic_name"] for row in self.disk.rows("retained")), ["ever", "long"])
        client = self.connected("c")
        client.subscribe("long")
        self.assertEqual(client.take_one(Publish).message_expiry_interval, 20)


class WillTests(RestartTestCase):
    """Wills (3.1.2.5) that came due while no broker ran are published when one starts, once."""

    def test_due_meanwhile(self) -> None:
        """The will of a client that was connected reaches a persistent session, and is not sent again."""
        self.watch()
        self.keeps("dying", will=will())
        self.crash(after=5)
        self.crash(after=5)
        self.assertEqual(self.watched(), [b"gone"])
        self.assertNotIn("will", self.disk.counts())

    def test_a_session_that_ends_with_its_connection(self) -> None:
        """So does that of a client whose session nobody kept; nothing else is left of it."""
        self.watch()
        self.connected("dying", will=will())
        self.connected("old", 4, will=will(payload=b"old"))
        self.crash()
        self.crash()
        self.assertEqual(self.watched(), [b"gone", b"old"])
        self.assertEqual(self.disk.counts().get("session"), 1)

    def test_a_delay(self) -> None:
        """The delay counts from when the client left, or from the last sign of life of its broker."""
        self.watch()
        self.keeps("left", will=will(20, payload=b"left")).lose()
        self.advance(10)
        self.keeps("connected", will=will(20, payload=b"connected"))
        self.crash(after=9)
        self.advance(0)
        self.assertEqual(self.observer.of("will_published"), [])
        self.advance(1)
        self.assertEqual(self.observer.of("will_published"), [("left", "will")])
        self.crash(after=9)
        self.assertEqual(self.observer.of("will_published"), [])
        self.advance(1)
        self.assertEqual(self.observer.of("will_published"), [("connected", "will")])
        self.assertEqual(self.watched(), [b"left", b"connected"])

    def test_back_in_time(self) -> None:
        """A client that is back before that takes its will with it [MQTT-3.1.3-9]."""
        self.watch()
        self.keeps("c", will=will(20)).lose()
        self.crash(after=10)
        self.keeps("c")
        self.crash(after=1000)
        self.assertEqual(self.watched(), [])

    def test_the_end_of_the_session(self) -> None:
        """A session that ends before the delay is over has its will published then."""
        self.watch()
        self.keeps("c", session_expiry_interval=10, will=will(1000)).lose()
        self.crash(after=10)
        self.assertEqual(self.watched(), [b"gone"])

    def test_a_goodbye(self) -> None:
        """DISCONNECT removes the will from the file, with 0x04 it is published before [MQTT-3.1.2-10]."""
        self.watch()
        for client_id in ("kept", "not kept"):
            options = {"session_expiry_interval": 100 if client_id == "kept" else 0}
            self.connected(client_id, will=will(), **options).disconnect()
        self.keeps("with will", will=will(payload=b"4")).disconnect(4)
        self.assertNotIn("will", self.disk.counts())
        self.crash(after=1000)
        self.assertEqual(self.watched(), [b"4"])

    def test_all_of_a_will(self) -> None:
        """It is published as the client has put it: QoS, RETAIN, properties."""
        self.keeps(
            "c",
            will=Will(
                "will",
                b"\x00\xff",
                2,
                True,
                Properties(
                    will_delay_interval=5,
                    message_expiry_interval=70,
                    content_type="text",
                    response_topic="answer",
                    correlation_data=b"\x00",
                    payload_format_indicator=0,
                    user_properties=(("b", "1"), ("a", "2")),
                ),
            ),
        )
        self.crash(after=4)
        client = self.connected("watcher")
        client.subscribe("will", qos=2)
        self.assertEqual(client.payloads(), [])
        self.advance(1)
        message = client.take_one(Publish)
        self.assertEqual((message.payload, message.qos), (b"\x00\xff", 2))
        self.assertEqual(
            message.properties,
            Properties(
                message_expiry_interval=70,
                content_type="text",
                response_topic="answer",
                correlation_data=b"\x00",
                payload_format_indicator=0,
                user_properties=(("b", "1"), ("a", "2")),
            ),
        )
        [row] = self.disk.rows("retained")
        self.assertEqual((row["topic_name"], row["payload"], row["qos"]), ("will", b"\x00\xff", 2))


class StateTests(RestartTestCase):
    """Session State [MQTT-4.1.0-1], over one start and over several."""

    def test_packet_identifiers(self) -> None:
        """What is in flight keeps its Packet Identifiers and its order; what waits comes behind it."""
        client = self.keeps("c", receive_maximum=3)
        client.subscribe("t", qos=2)
        publisher = self.connected("p")
        for n, qos in enumerate((1, 2, 1, 2, 1)):
            publisher.publish("t", b"%d" % n, qos)
        before = [one for one in client.take() if isinstance(one, Publish)]
        self.assertEqual([one.payload for one in before], [b"0", b"1", b"2"])
        again = before
        for _ in range(2):
            self.crash()
            client = self.keeps("c", receive_maximum=3)
            again = [one for one in client.take() if isinstance(one, Publish)]
            self.assertEqual(
                [(one.packet_id, one.payload, one.dup) for one in again],
                [(one.packet_id, one.payload, True) for one in before],
            )
        for one in again:
            client.ack(one)
        self.assertEqual(client.payloads(), [b"3", b"4"])

    def test_a_retained_message_that_was_replaced(self) -> None:
        """What waits because of SUBSCRIBE and was replaced before its turn is left out after a crash, too."""
        publisher = self.connected("p")
        for topic in ("a", "b"):
            publisher.publish(topic, b"old", 1, True)
        client = self.keeps("c", receive_maximum=1)
        client.subscribe("+", qos=1)
        self.assertEqual(client.payloads(), [b"old"])
        publisher.publish("b", b"new", 1, True)
        self.crash()
        self.assertEqual(self.keeps("c").payloads(), [b"old", b"new"])

    def test_pubrel_is_missing(self) -> None:
        """A message that PUBREC has confirmed is not sent again, its PUBREL is."""
        client = self.keeps("c")
        client.subscribe("t", qos=2)
        self.connected("p").publish("t", b"", 2)
        packet_id = client.take_one(Publish).packet_id
        client.send(PubRec(packet_id))
        self.crash()
        client = self.keeps("c")
        self.assertEqual(client.take(), [PubRel(packet_id)])

    def test_rights_are_looked_at(self) -> None:
        """What is in flight stays in flight where the client's rights are looked at when it comes."""
        self.login = let_everybody_do_everything
        client = self.keeps("c", receive_maximum=2)
        client.subscribe("t", qos=2)
        publisher = self.connected("p")
        for payload in (b"1", b"2", b"3"):
            publisher.publish("t", payload, 2)
        first = client.take_one(Publish)
        second = client.take_one(Publish)
        client.send(PubRec(first.packet_id))
        self.crash()
        client = self.keeps("c", receive_maximum=2)
        release, again = client.take()
        assert isinstance(again, Publish)
        self.assertEqual((again.packet_id, again.dup), (second.packet_id, True))
        self.assertEqual(release, PubRel(first.packet_id))

    def test_in_flight_by_a_shared_subscription(self) -> None:
        """A QoS 2 message that was sent to a member stays with it [MQTT-4.8.2-4]; what waits goes on."""
        client = self.keeps("c", receive_maximum=1)
        client.subscribe("$share/g/t", qos=2)
        publisher = self.connected("p")
        publisher.publish("t", b"sent", 2)
        publisher.publish("t", b"waits", 2)
        self.assertEqual(client.payloads(), [b"sent"])
        self.crash()
        other = self.keeps("other")
        other.subscribe("$share/g/t", qos=2)
        self.assertEqual(other.payloads(), [b"waits"])
        self.assertEqual(self.keeps("c").payloads(), [b"sent"])

    def test_bodies(self) -> None:
        """A message is stored once for all who wait for it, and goes with the last, over restarts as well."""
        for client_id in ("a", "b", "c"):
            client = self.keeps(client_id)
            client.subscribe("t", qos=1)
            client.lose()
        self.connected("p").publish("t", b"", 1)
        self.assertEqual((self.disk.counts()["message"], self.disk.counts()["queue"]), (1, 3))
        for left, client_id in ((2, "a"), (1, "b"), (0, "c")):
            client = self.keeps(client_id)
            client.ack(client.take_one(Publish))
            self.assertEqual(self.disk.counts().get("queue", 0), left)
            self.assertEqual(self.disk.counts().get("message", 0), min(left, 1))
            self.crash()

    def test_bodies_of_sessions_that_end(self) -> None:
        """The same when sessions end before they have been looked at."""
        for client_id, expiry in (("a", 10), ("b", 20)):
            client = self.keeps(client_id, session_expiry_interval=expiry)
            client.subscribe("t", "$share/g/t", qos=2)
            client.lose()
        publisher = self.connected("p")
        for qos in (1, 2, 1):
            publisher.publish("t", b"", qos)
        self.crash(after=10)
        self.assertEqual((self.disk.counts()["message"], self.is_there("a")), (3, False))
        self.crash(after=10)
        self.assertEqual(self.disk.counts(), {})

    def test_numbers_go_on(self) -> None:
        """Frames are counted on, and no number of a session, message or position is used twice."""
        client = self.keeps("a")
        client.subscribe("t", qos=1)
        client.lose()
        for n in range(3):
            self.connected("p").publish("t", b"%d" % n + bytes(OWN_BODY), 1)
            self.crash()
            self.keeps(f"new{n}").lose()
        self.assertEqual(
            [frame.number for frame in self.disk.frames], list(range(1, len(self.disk.frames) + 1))
        )
        rows = self.disk.rows("queue")
        self.assertEqual(len({row["position"] for row in rows}), 3)
        self.assertEqual(len({row["body"] for row in rows}), 3)
        self.assertEqual(self.disk.counts()["message"], 3)
        self.assertEqual(len({row["sid"] for row in self.disk.rows("session")}), 4)

    def test_a_long_queue(self) -> None:
        """A queue that is fetched bit by bit, and grows meanwhile, comes in its order."""
        client = self.keeps("a")
        client.subscribe("t", qos=1)
        client.lose()
        publisher = self.connected("p")
        for n in range(600):
            publisher.publish("t", b"%d" % n, 1)
        self.crash(settings=Settings(send_maximum=10))
        publisher = self.connected("p")
        publisher.publish("t", b"600", 1)
        client = self.keeps("a")
        payloads: list[bytes] = []
        while messages := [one for one in client.take() if isinstance(one, Publish)]:
            if len(payloads) == 300:
                publisher.publish("t", b"601", 1)
            payloads += [one.payload for one in messages]
            for one in messages:
                client.ack(one)
        self.assertEqual(payloads, [b"%d" % n for n in range(602)])
        self.assertNotIn("queue", self.disk.counts())

    def test_clean_start(self) -> None:
        """Clean Start removes all of a session from the file, what was not fetched included."""
        client = self.keeps("c", will=will(50))
        client.subscribe("t", qos=2)
        client.publish("none", b"", 2)
        client.lose()
        publisher = self.connected("p")
        for qos in (1, 2):
            publisher.publish("t", b"", qos)
        self.crash()
        self.connected("c", clean_start=True)
        self.assertEqual(self.disk.counts(), {})
