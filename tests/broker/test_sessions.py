"""`mqttwist.broker.sessions`: clean start, resumption, expiry, and wills in all their cases."""

from __future__ import annotations

from typing import Any

from mqttwist.broker.settings import Settings
from mqttwist.session.session import NEVER
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.connect import ConnAck, Will
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.broker.harness import VERSIONS, BrokerTestCase, TestClient


class CleanStartTests(BrokerTestCase):
    def test_a_session_is_taken_up(self) -> None:
        """Clean Start 0 takes up the session with its subscriptions [MQTT-3.1.2-5] [MQTT-3.2.2-3]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.persistent("c", version)
                client.subscribe("a", qos=1)
                client.lose()
                again = self.client(version)
                connack = again.connect("c", clean_start=False)
                self.assertEqual(connack.session_present, version != 3)  # 3.1 has no such flag
                self.assertEqual(self.observer.of("connected")[-1], ("c", True))
                again.publish("a", b"hi")
                self.assertEqual(again.payloads(), [b"hi"])
                self.connected("c", version).lose()

    def persistent(self, client_id: str, version: int = 5, **options: Any) -> TestClient:
        if version == 5:
            options.setdefault("session_expiry_interval", 100)
        return self.connected(client_id, version, clean_start=False, **options)

    def test_clean_start_discards(self) -> None:
        """Clean Start 1 begins a new session: nothing is left of the old [MQTT-3.1.2-4] [MQTT-3.2.2-2]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.persistent("c", version)
                client.subscribe("a", qos=1)
                client.lose()
                self.broker_publish("a", b"missed")
                again = self.client(version)
                self.assertFalse(again.connect("c").session_present)
                again.publish("a", b"hi")
                self.assertEqual(again.payloads(), [])
                self.assertEqual(self.broker.router.subscriptions.count, 0)
                again.lose()

    def broker_publish(self, topic_name: str, payload: bytes) -> None:
        publisher = self.connected("publisher")
        publisher.publish(topic_name, payload, qos=1)
        publisher.disconnect()

    def test_no_session_without_expiry(self) -> None:
        """Session Expiry 0 or Clean Session 1 ends the session with its connection [MQTT-4.1.0-2]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.connected("c", version)
                client.subscribe("a")
                client.lose()
                self.assertEqual(len(self.broker.sessions), 0)
                self.assertFalse(self.client(version).connect("c", clean_start=False).session_present)
                self.broker.sessions.connections()[0].lost("end of the test")

    def test_the_take_over_of_a_session_that_ends(self) -> None:
        """A session that ends with its connection ends by a take-over, too: nothing is present (3.1.4)."""
        for version in VERSIONS:
            with self.subTest(version=version):
                first = self.connected("c", version)
                first.subscribe("a")
                second = self.client(version)
                self.assertFalse(second.connect("c", clean_start=False).session_present)
                self.assertEqual(self.broker.router.subscriptions.count, 0)
                second.disconnect()

    def test_the_take_over_of_a_session_that_goes_on(self) -> None:
        """The taking client has the subscriptions of the other, and gets what that has not confirmed."""
        first = self.persistent("c")
        first.subscribe("a", qos=1)
        self.broker_publish("a", b"unconfirmed")
        self.assertEqual(first.payloads(), [b"unconfirmed"])
        second = self.client()
        self.assertTrue(second.connect("c", clean_start=False, session_expiry_interval=100).session_present)
        [message] = second.take()
        self.assertTrue(isinstance(message, Publish) and message.dup)

    def test_another_version(self) -> None:
        """A client may come back with another protocol version and finds its session."""
        client = self.persistent("c", 4)
        client.subscribe("a", qos=1)
        client.lose()
        self.broker_publish("a", b"hi")
        again = self.client(5)
        self.assertTrue(again.connect("c", clean_start=False).session_present)
        self.assertEqual(again.payloads(), [b"hi"])

    def test_nameless_clients_do_not_meet(self) -> None:
        """Each client without an id has one of its own [MQTT-3.1.3-6]."""
        first, second = self.client(), self.client()
        first.connect("")
        second.connect("")
        self.assertEqual(self.broker.sessions.connected, 2)
        self.assertFalse(first.is_closed)


class IdentityTests(BrokerTestCase):
    """A session is that of whoever has logged in, not of whoever knows the client id."""

    def setUp(self) -> None:
        super().setUp()
        self.start(login=lambda connection, connect: connection.accept(None, None, connect.username))
        self.publisher = self.connected("publisher")

    def test_somebody_else(self) -> None:
        """Another user with the same client id gets nothing of the session: it ends, and a new one begins."""
        alice = self.connected("c", username="alice", session_expiry_interval=100)
        alice.subscribe("secret", qos=1)
        alice.lose()
        self.publisher.publish("secret", b"1", 1)
        for username in ("mallory", None):
            other = self.client()
            connack = other.connect("c", False, username=username, session_expiry_interval=100)
            self.assertFalse(connack.session_present)
            self.publisher.publish("secret", b"2", 1)
            self.assertEqual(other.payloads(), [])
            other.lose()
        self.assertIn(
            ("c", "the user 'mallory' took its client id, it was of 'alice'"),
            self.observer.of("session_ended"),
        )

    def test_taking_over(self) -> None:
        """The same holds while the other is connected."""
        alice = self.connected("c", username="alice", session_expiry_interval=100)
        other = self.client()
        self.assertFalse(other.connect("c", False, username="mallory").session_present)
        self.assertClosed(alice, 0x8E)

    def test_the_same_user(self) -> None:
        """Who comes back gets the session."""
        self.connected("c", username="alice", session_expiry_interval=100).lose()
        self.assertTrue(self.client().connect("c", False, username="alice").session_present)


class ExpiryTests(BrokerTestCase):
    def test_expiry(self) -> None:
        """A session ends when its client was away for the Session Expiry Interval, and no earlier."""
        client = self.connected("c", session_expiry_interval=100)
        client.subscribe("a", qos=1)
        self.advance(1000)
        client.lose()
        self.advance(99)
        self.assertIsNotNone(self.broker.sessions.get("c"))
        self.advance(1)
        self.assertIsNone(self.broker.sessions.get("c"))
        self.assertEqual(self.broker.router.subscriptions.count, 0)
        self.assertEqual(self.observer.of("session_ended"), [("c", "it expired")])

    def test_coming_back_stops_the_clock(self) -> None:
        """While the client is there, its session does not expire; when it leaves the time starts anew."""
        client = self.connected("c", session_expiry_interval=100)
        client.lose()
        self.advance(99)
        client = self.connected("c", clean_start=False, session_expiry_interval=100)
        self.advance(1000)
        client.lose()
        self.advance(99)
        self.assertIsNotNone(self.broker.sessions.get("c"))
        self.advance(1)
        self.assertIsNone(self.broker.sessions.get("c"))

    def test_never(self) -> None:
        """0xFFFFFFFF and Clean Session 0 of 3.x never expire (3.1.2.11.2), and leave no deadline behind."""
        self.connected("v5", session_expiry_interval=NEVER).lose()
        for version in (3, 4):
            self.connected(f"v{version}", version, clean_start=False).lose()
        self.advance(10.0**9)
        self.assertEqual(len(self.broker.sessions), 3)
        self.assertEqual(len(self.broker.deadlines), 0)

    def test_the_limit_of_the_server(self) -> None:
        """maximum_session_expiry counts for 3.x sessions as well."""
        self.start(Settings(maximum_session_expiry=50))
        self.connected("v5", session_expiry_interval=NEVER).lose()
        self.connected("v4", 4, clean_start=False).lose()
        self.advance(50)
        self.assertEqual(len(self.broker.sessions), 0)

    def test_many_visits_leave_nothing(self) -> None:
        """Coming and going adds no deadlines, records or subscriptions that stay."""
        for _ in range(500):
            client = self.connected("c", clean_start=False, session_expiry_interval=100, keep_alive=60)
            client.subscribe("a/#", "$share/g/a")
            client.lose()
        self.assertEqual((len(self.broker.sessions), len(self.broker.deadlines)), (1, 1))
        self.assertEqual(self.broker.router.subscriptions.count, 2)


class WillTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.watch()

    def watch(self) -> None:
        self.watcher = self.connected("watcher")
        self.watcher.subscribe("will", qos=2, retain_as_published=True)

    def with_will(
        self, version: int = 5, delay: int | None = None, expiry: int = 0, **options: Any
    ) -> TestClient:
        properties = Properties(will_delay_interval=delay)
        if version == 5:
            options["session_expiry_interval"] = expiry
        else:
            options["clean_start"] = not expiry
        return self.connected("c", version, will=Will("will", b"gone", 1, False, properties), **options)

    def wills(self) -> list[bytes]:
        return self.watcher.payloads()

    def test_the_connection_is_lost(self) -> None:
        """The will is published when the connection is lost [MQTT-3.1.2-8], and once only [MQTT-3.1.2-10]."""
        for version in VERSIONS:
            for expiry in (0, 100):
                with self.subTest(version=version, expiry=expiry):
                    client = self.with_will(version, expiry=expiry)
                    client.lose()
                    client.lose()
                    self.advance(1000)
                    self.assertEqual(self.wills(), [b"gone"])
                    self.connected("c", version).disconnect()

    def test_disconnect(self) -> None:
        """DISCONNECT 0x00 deletes the will, any other Reason Code does not [MQTT-3.14.4-3]."""
        for version in VERSIONS:
            client = self.with_will(version, expiry=10)
            client.disconnect()
            self.advance(1000)
            self.assertEqual(self.wills(), [])
        for reason_code in (0x04, 0x80, 0x81):
            with self.subTest(reason_code=reason_code):
                self.with_will().disconnect(reason_code)
                self.assertEqual(self.wills(), [b"gone"])

    def test_every_other_end(self) -> None:
        """A fault, the keep alive, a take-over and the stop of the Server are no DISCONNECT 0x00."""
        self.with_will().send_bytes(b"\x00\x00")
        self.assertEqual(self.wills(), [b"gone"])
        self.with_will(keep_alive=10)
        self.watcher.ping()
        self.advance(15)
        self.assertEqual(self.wills(), [b"gone"])
        self.with_will()
        self.broker.sessions.connections()[-1].shut_down()
        self.advance(0)
        self.assertEqual(self.wills(), [b"gone"])

    def test_delay(self) -> None:
        """The will waits for its delay, and not a second less (3.1.3.2.2)."""
        self.with_will(delay=10, expiry=100).lose()
        self.advance(9.9)
        self.assertEqual(self.wills(), [])
        self.advance(0.1)
        self.assertEqual(self.wills(), [b"gone"])
        self.advance(1000)
        self.assertEqual(self.wills(), [])

    def test_delay_ends_with_the_session(self) -> None:
        """The will is due when the session ends, if that is earlier; at once with expiry 0 (3.1.3.2.2)."""
        self.with_will(delay=100, expiry=10).lose()
        self.advance(10)
        self.assertEqual(self.wills(), [b"gone"])
        self.with_will(delay=100, expiry=0).lose()
        self.assertEqual(self.wills(), [b"gone"])
        client = self.with_will(delay=100, expiry=1000)
        client.disconnect(0x04, session_expiry_interval=0)
        self.assertEqual(self.wills(), [b"gone"])
        self.advance(10_000)
        self.assertEqual(self.wills(), [])

    def test_coming_back_in_time(self) -> None:
        """A client that resumes its session before the delay is over is not reported [MQTT-3.1.3-9]."""
        self.with_will(delay=10, expiry=100).lose()
        self.advance(9)
        again = self.connected("c", clean_start=False, session_expiry_interval=100)
        self.advance(1000)
        self.assertEqual(self.wills(), [])
        again.lose()  # it came without a will this time
        self.advance(1000)
        self.assertEqual(self.wills(), [])

    def test_coming_back_with_clean_start(self) -> None:
        """Clean Start 1 ends the session, so the will that waited is due (3.1.3.2.2)."""
        self.with_will(delay=10, expiry=100).lose()
        self.connected("c")
        self.assertEqual(self.wills(), [b"gone"])
        self.advance(1000)
        self.assertEqual(self.wills(), [])

    def test_take_over(self) -> None:
        """The will is sent if its delay is 0 or if the session ends by the take-over, else not (3.1.4)."""
        for delay, expiry, clean_start, expected in (
            (0, 100, False, [b"gone"]),
            (0, 100, True, [b"gone"]),
            (0, 0, False, [b"gone"]),
            (10, 100, False, []),
            (10, 100, True, [b"gone"]),
            (10, 0, False, [b"gone"]),
        ):
            with self.subTest(delay=delay, expiry=expiry, clean_start=clean_start):
                first = self.with_will(delay=delay, expiry=expiry)
                second = self.connected("c", clean_start=clean_start)
                self.assertClosed(first, 0x8E)
                self.advance(1000)
                self.assertEqual(self.wills(), expected)
                second.disconnect()
                self.assertEqual(self.wills(), [])

    def test_the_will_of_the_new_connection_counts(self) -> None:
        """Each CONNECT brings its own will: the one before is nobody's any more."""
        self.with_will(delay=10, expiry=100).lose()
        second = self.connected(
            "c", clean_start=False, will=Will("will", b"new"), session_expiry_interval=100
        )
        second.lose()
        self.advance(1000)
        self.assertEqual(self.wills(), [b"new"])

    def test_retained_wills(self) -> None:
        """Will Retain 1 retains the message, Will Retain 0 does not [MQTT-3.1.2-14] [MQTT-3.1.2-15]."""
        for retain in (False, True):
            client = self.connected("c", will=Will("will", b"gone", 1, retain))
            client.lose()
            [message] = [one for one in self.watcher.take() if isinstance(one, Publish)]
            self.assertEqual(message.retain, retain)
            self.assertEqual(len(self.broker.router.retained), int(retain))

    def test_a_will_deletes_what_is_retained(self) -> None:
        """An empty retained will removes the retained message, as any message does [MQTT-3.3.1-6]."""
        self.watcher.publish("will", b"x", retain=True)
        self.connected("c", will=Will("will", b"", 0, True)).lose()
        self.assertEqual(len(self.broker.router.retained), 0)

    def test_properties(self) -> None:
        """The Will Properties are those of the message; the delay is not among them (3.1.3.2)."""
        properties = Properties(
            payload_format_indicator=1,
            message_expiry_interval=60,
            content_type="text/plain",
            response_topic="answer",
            correlation_data=b"17",
            user_properties=(("b", "1"), ("a", "2"), ("b", "1")),
        )
        said = Properties(
            will_delay_interval=5,
            **{name: getattr(properties, name) for name in ("payload_format_indicator", "content_type")},
            message_expiry_interval=60,
            response_topic="answer",
            correlation_data=b"17",
            user_properties=(("b", "1"), ("a", "2"), ("b", "1")),
        )
        self.connected("c", will=Will("will", b"gone", 1, False, said), session_expiry_interval=100).lose()
        self.advance(5)
        message = self.watcher.take_one(Publish)
        self.assertEqual(message.properties, properties)

    def test_the_expiry_of_the_will_counts_from_its_publication(self) -> None:
        """The Message Expiry Interval starts when the will is published, not when it was said."""
        will = Will("will", b"gone", 0, False, Properties(message_expiry_interval=5, will_delay_interval=50))
        self.connected("c", will=will, session_expiry_interval=100).lose()
        self.advance(50)
        self.assertEqual(self.watcher.take_one(Publish).message_expiry_interval, 5)

    def test_the_will_reaches_its_own_session(self) -> None:
        """A client may subscribe to its own will and finds it when it comes back, unless No Local is set."""
        for no_local, expected in ((False, [b"gone"]), (True, [])):
            client = self.with_will(expiry=100)
            client.subscribe("will", qos=1, no_local=no_local)
            client.lose()
            again = self.connected("c", clean_start=False)
            self.assertEqual(again.payloads(), expected)
            again.disconnect()

    def test_wills_that_publish_each_other(self) -> None:
        """Many wills at once, each subscribed to by the others, come to an end."""
        clients = [
            self.connected(f"c{n}", will=Will("will", b"%d" % n, 1), session_expiry_interval=100)
            for n in range(20)
        ]
        for client in clients:
            client.subscribe("will", qos=1)
        self.broker.shut_down()
        self.assertEqual(len(self.observer.of("will_published")), 20)

    def test_a_retained_will_beyond_the_limit(self) -> None:
        """maximum_retained holds for wills: refused with CONNECT, or not retained if it got full later."""
        self.start(Settings(maximum_retained=1))
        self.watch()
        client = self.connected("c", will=Will("will", b"gone", 0, True))
        self.watcher.publish("other", b"x", retain=True)
        client.lose()
        self.assertEqual(self.wills(), [b"gone"])
        self.assertEqual(len(self.broker.router.retained), 1)
        self.assertEqual(self.client().connect("c", will=Will("will", b"gone", 0, True)).reason_code, 0x97)


class StoredSessionTests(BrokerTestCase):
    def test_sessions_that_were_to_end(self) -> None:
        """A session of Session Expiry 0 is not taken up by a broker that starts after a crash."""
        store = MemoryStore()
        self.start(store=store)
        self.connected("short").subscribe("a")
        self.connected("long", session_expiry_interval=50).subscribe("a")
        for session in store.sessions():
            session.outgoing.detach()  # the crash
        self.start(store=store)
        self.assertEqual(len(self.broker.sessions), 1)
        self.assertEqual(self.broker.router.subscriptions.count, 1)
        self.assertFalse(self.client().connect("short", clean_start=False).session_present)
        self.advance(50)
        self.assertIsNone(self.broker.sessions.get("long"))

    def test_a_changed_expiry_is_saved(self) -> None:
        """The store is told when DISCONNECT changes the Session Expiry Interval, and that the client left."""
        saved: list[tuple[str, int]] = []

        class Store(MemoryStore):
            def session_saved(self, session: Any) -> None:
                saved.append((session.client_id, session.expiry_interval))
                super().session_saved(session)

        self.start(store=Store())
        self.connected("c", session_expiry_interval=10).disconnect(session_expiry_interval=99)
        self.assertEqual(saved, [("c", 10), ("c", 99), ("c", 99)])

    def test_connack_of_a_resumed_session(self) -> None:
        """Session Present is told only once there is a session, and never with a refusal [MQTT-3.2.2-6]."""
        self.connected("c", session_expiry_interval=10).lose()
        client = self.client()
        client.send_connect("c", clean_start=False, authentication_method="m")
        self.assertFalse(client.take_one(ConnAck).session_present)
        self.assertIsNotNone(self.broker.sessions.get("c"))
