"""`mqttwist.broker.admission`: which CONNECT is accepted, and what CONNACK says of the Server (3.2.2.3)."""

from __future__ import annotations

from mqttwist.broker.settings import Settings
from mqttwist.session.session import NEVER
from mqttwist.wire.connect import Will
from mqttwist.wire.decoder import LARGEST_PACKET
from mqttwist.wire.properties import Properties
from tests.broker.harness import VERSIONS, BrokerTestCase


class WelcomeTests(BrokerTestCase):
    def welcome(self, settings: Settings, **options: int) -> Properties:
        """The properties of the CONNACK that a broker with `settings` sends."""
        self.start(settings)
        return self.client().connect("c", **options).properties  # type: ignore[arg-type]

    def test_the_defaults(self) -> None:
        """What a Server can do by default need not be said; its limits are."""
        self.assertEqual(
            self.welcome(Settings()),
            Properties(receive_maximum=1000, maximum_packet_size=16 << 20, topic_alias_maximum=64),
        )

    def test_every_limit_is_said(self) -> None:
        """Each limit that differs from what the specification assumes stands in CONNACK."""
        settings = Settings(
            receive_maximum=5,
            maximum_packet_size=2000,
            topic_alias_maximum=0,
            maximum_qos=1,
            retain_available=0,
            maximum_keep_alive=30,
            maximum_session_expiry=60,
        )
        self.assertEqual(
            self.welcome(settings, keep_alive=100, session_expiry_interval=100),
            Properties(
                session_expiry_interval=60,
                receive_maximum=5,
                maximum_qos=1,
                retain_available=0,
                maximum_packet_size=2000,
                topic_alias_maximum=0,
                server_keep_alive=30,
            ),
        )

    def test_no_limit_of_the_packet_size(self) -> None:
        """The largest packet that MQTT knows is no limit to speak of."""
        properties = self.welcome(Settings(maximum_packet_size=LARGEST_PACKET))
        self.assertIsNone(properties.maximum_packet_size)

    def test_server_keep_alive(self) -> None:
        """It is said if the client wants a longer one or none; else the client's counts [MQTT-3.2.2-22]."""
        for wanted, said in ((0, 30), (31, 30), (30, None), (5, None)):
            with self.subTest(wanted=wanted):
                properties = self.welcome(Settings(maximum_keep_alive=30), keep_alive=wanted)
                self.assertEqual(properties.server_keep_alive, said)

    def test_session_expiry_interval(self) -> None:
        """It is said only if it is another one than the client asked for (3.2.2.3.2)."""
        for wanted, limit, said in ((10, 60, None), (100, 60, 60), (NEVER, NEVER, None), (NEVER, 60, 60)):
            with self.subTest(wanted=wanted, limit=limit):
                settings = Settings(maximum_session_expiry=limit)
                properties = self.welcome(settings, session_expiry_interval=wanted)
                self.assertEqual(properties.session_expiry_interval, said)
        self.assertIsNone(self.welcome(Settings()).session_expiry_interval)

    def test_older_versions_get_no_properties(self) -> None:
        """CONNACK of 3.x has two bytes, whatever the limits are."""
        self.start(Settings(maximum_keep_alive=30, maximum_qos=0))
        for version in (3, 4):
            client = self.connected("c", version, keep_alive=100)
            self.assertEqual(client.transport.data, b"\x20\x02\x00\x00")


class ClientIdTests(BrokerTestCase):
    def test_an_assigned_id(self) -> None:
        """A client without an id gets one and is told [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]."""
        for clean_start in (True, False):
            client = self.client()
            connack = client.connect("", clean_start=clean_start, session_expiry_interval=100)
            assigned = connack.properties.assigned_client_identifier or ""
            self.assertTrue(assigned)
            self.assertFalse(connack.session_present)
            self.assertIsNotNone(self.broker.sessions.get(assigned))
            client.lose()
            self.assertTrue(self.client().connect(assigned, clean_start=False).session_present)

    def test_a_named_client_is_not_renamed(self) -> None:
        """A client with an id is told none."""
        self.assertIsNone(self.client().connect("c").properties.assigned_client_identifier)

    def test_older_versions(self) -> None:
        """3.1.1 needs Clean Session 1 to be nameless, 3.1 a name: return code 2 (3.1.1: [MQTT-3.1.3-8])."""
        for version, clean_start, code in ((4, True, 0), (4, False, 2), (3, True, 2), (3, False, 2)):
            with self.subTest(version=version, clean_start=clean_start):
                client = self.client(version)
                self.assertEqual(client.connect("", clean_start=clean_start).reason_code, code)
                self.assertEqual(client.is_closed, code != 0)

    def test_ids_of_any_kind(self) -> None:
        """Long ids, and ids of any characters, are accepted."""
        for client_id in ("x" * 65_535, "\u2603 / + #", "$SYS"):
            for version in VERSIONS:
                self.assertEqual(self.client(version).connect(client_id).reason_code, 0)


class RefusalTests(BrokerTestCase):
    def test_the_number_of_connections(self) -> None:
        """Beyond maximum_connections: 0x89, return code 3; but a client may take over its own session."""
        self.start(Settings(maximum_connections=2))
        first = self.connected("1")
        self.connected("2")
        for version, code in ((3, 3), (4, 3), (5, 0x89)):
            client = self.client(version)
            self.assertEqual(client.connect("3").reason_code, code)
            self.assertTrue(client.is_closed)
        self.assertEqual(self.client(4).connect("").reason_code, 3)
        again = self.connected("1")
        self.assertClosed(first, 0x8E)
        again.disconnect()
        self.connected("3")

    def test_wills_that_the_server_does_not_support(self) -> None:
        """A Will QoS above the maximum is 0x9B, a retained will 0x9A [MQTT-3.2.2-12] [MQTT-3.2.2-13]."""
        self.start(Settings(maximum_qos=1, retain_available=0))
        for will, code in (
            (Will("a", b"", 2), 0x9B),
            (Will("a", b"", 1, True), 0x9A),
            (Will("a", b"", 1), 0),
        ):
            self.assertEqual(self.client().connect("c", will=will).reason_code, code)

    def test_refusals_leave_nothing(self) -> None:
        """A client that was refused has no session, no connection and no deadline, and is told of once."""
        self.start(Settings(maximum_connections=1))
        self.connected("1")
        for _ in range(100):
            client = self.client()
            client.connect("2", session_expiry_interval=100)
            client.lose()
        self.assertEqual((len(self.broker.sessions), self.broker.connection_count), (1, 1))
        self.assertEqual(len(self.broker.deadlines), 0)
        self.assertEqual(len(self.observer.of("refused")), 100)
        self.assertEqual(self.broker.metrics.connections_refused, 100)

    def test_a_refusal_does_not_disturb_the_session(self) -> None:
        """A refused CONNECT takes nothing over and discards nothing."""
        client = self.connected("c", session_expiry_interval=100)
        self.client().connect("c", authentication_method="m")
        self.assertFalse(client.is_closed)
        client.ping()
