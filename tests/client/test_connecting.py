"""CONNECT and CONNACK, Keep Alive, versions, and the end of connections."""

from __future__ import annotations

from typing import Any

from mqttwist.client.errors import ConnectionEnded, ConnectRefused
from mqttwist.client.scram import ScramSHA256
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, SubscriptionOptions, UnsubAck
from tests.client.rig import ClientTestCase, Server

VERSIONS = (MQTT_3_1, MQTT_3_1_1, MQTT_5)


class ConnectTests(ClientTestCase):
    def connect_of(
        self, username: str | None = None, password: bytes | None = None, **settings: Any
    ) -> Connect:
        """What a client with these settings sends first."""
        self.make_client(**settings)
        server = Server(self.client, username, password)
        [connect] = server.take()
        server.hang_up()
        assert isinstance(connect, Connect)
        return connect

    def test_first_packet(self) -> None:
        """CONNECT is what is sent first, whatever waits, with name, version and who we are [MQTT-3.1.0-1]
        [MQTT-3.1.3-3] [MQTT-3.1.2-1] [3.1.1: MQTT-3.1.0-1] [3.1.1: MQTT-3.1.2-1] [3.1.1: MQTT-3.1.3-2]
        [3.1.1: MQTT-3.1.3-3]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,))
            self.publish(b"x", 1)
            self.subscribe("t")
            server = Server(self.client)
            self.assertEqual(server.written[2:9], b"\0\4MQTT" + bytes((version,)))
            [connect] = server.take()
            self.assertEqual((type(connect), connect.client_id), (Connect, "us"))

    def test_fields(self) -> None:
        """What the settings say stands in CONNECT, with its flags [MQTT-3.1.2-9] [MQTT-3.1.2-17]
        [MQTT-3.1.2-19] [MQTT-3.1.3-1] [3.1.1: MQTT-3.1.2-9] [3.1.1: MQTT-3.1.2-19] [3.1.1: MQTT-3.1.2-21]
        [3.1.1: MQTT-3.1.3-1]."""
        old = self.connect_of("me", b"secret", versions=(MQTT_3_1_1,), will=Will("will", b"gone", 1, True))
        self.assertEqual(
            (old.username, old.password, old.will), ("me", b"secret", Will("will", b"gone", 1, True))
        )
        self.assertRaises(ValueError, self.connect_of, None, b"secret", versions=(MQTT_3_1_1,))
        will = Will("will", b"gone", 1, True, Properties(will_delay_interval=5))
        connect = self.connect_of(
            "me", b"secret", will=will, keep_alive=7, session_expiry_interval=9, receive_maximum=3
        )
        self.assertEqual((connect.username, connect.password, connect.keep_alive), ("me", b"secret", 7))
        self.assertEqual(connect.will, will)
        said = connect.properties
        self.assertEqual((said.session_expiry_interval, said.receive_maximum), (9, 3))

    def test_bare(self) -> None:
        """Without a Will and a login all their flags are 0, and their fields missing [MQTT-3.1.2-11]
        [MQTT-3.1.2-13] [MQTT-3.1.2-16] [MQTT-3.1.2-18] [3.1.1: MQTT-3.1.2-11] [3.1.1: MQTT-3.1.2-13]
        [3.1.1: MQTT-3.1.2-15] [3.1.1: MQTT-3.1.2-18] [3.1.1: MQTT-3.1.2-20] [3.1.1: MQTT-3.1.2-22]."""
        for version in VERSIONS:
            connect = self.connect_of(versions=(version,))
            self.assertEqual((connect.will, connect.username, connect.password), (None, None, None))
            flags = connect.encode()[2 + 2 + (6 if version == MQTT_3_1 else 4) + 1]
            self.assertEqual(flags, 0x02)

    def test_clean_start(self) -> None:
        """A session that does not outlive its connection begins anew each time, and nothing is left of it
        [MQTT-3.1.2-4] [3.1.1: MQTT-3.1.2-6]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,), on_session_loss="fail")
            self.ended.publications.clear()
            server = self.connect()
            self.publish(b"x", 2)
            server.send(Publish("t", b"", 2, packet_id=1))
            server.hang_up()
            server = self.connect()
            server.take()
            self.assertEqual((len(self.ended.errors), self.client.outgoing.in_flight), (1, {}))
            self.assertFalse(self.client.incoming.unreleased)
        self.assertTrue(self.connect_of().clean_start)
        self.assertFalse(self.connect_of(session_expiry_interval=5).clean_start)
        self.make_client(session_expiry_interval=5, clean_start=True)
        starts = []
        for present in (False, True):
            server = Server(self.client)
            starts.append(server.accept(present).clean_start)
            server.hang_up()
        self.assertEqual(starts, [True, False])

    def test_no_client_id(self) -> None:
        """The Server's Client Identifier is kept; before MQTT 5.0 there must be a clean one [MQTT-3.1.3-2]
        [3.1.1: MQTT-3.1.3-7]."""
        self.make_client(client_id="", session_expiry_interval=5, versions=(MQTT_5, MQTT_3_1_1))
        server = Server(self.client)
        self.assertEqual(server.accept(False, assigned_client_identifier="yours").client_id, "")
        server.hang_up()
        server = Server(self.client)
        self.assertEqual(server.accept(True).client_id, "yours")
        self.make_client(client_id="", session_expiry_interval=5, versions=(MQTT_5, MQTT_3_1_1))
        Server(self.client).send(ConnAck(False, 0x84))
        [connect] = Server(self.client).take()
        self.assertEqual((connect.version, connect.clean_start), (MQTT_3_1_1, True))

    def test_no_client_id_in_3_1(self) -> None:
        """MQTT 3.1 wants a Client Identifier of 1 to 23 characters: the client makes one, and keeps it."""
        for versions in ((MQTT_3_1,), (MQTT_5, MQTT_3_1)):
            self.make_client(client_id="", versions=versions)
            if len(versions) == 2:
                Server(self.client).send(ConnAck(False, 0x84))
            ids = []
            for _ in range(2):
                server = Server(self.client)
                connect = server.accept()
                self.assertEqual((connect.version, len(connect.client_id)), (MQTT_3_1, 22))
                ids.append(connect.client_id)
                server.hang_up()
            self.assertEqual(ids, [self.client.client_id] * 2)

    def test_closes_without_a_word(self) -> None:
        """A Server that says nothing to CONNECT and closes is asked in an older version, and after the oldest
        in the newest again; one that has accepted us is not taken for an old one."""
        self.make_client(versions=(MQTT_5, MQTT_3_1_1, MQTT_3_1))
        versions = []
        for _ in range(5):
            server = Server(self.client)
            versions.append(server.take()[0].version)
            server.hang_up()
        self.assertEqual(versions, [MQTT_5, MQTT_3_1_1, MQTT_3_1, MQTT_5, MQTT_3_1_1])
        self.assertEqual(self.client.version, MQTT_3_1)
        self.make_client(versions=(MQTT_5, MQTT_3_1_1))
        self.connect().hang_up()
        Server(self.client).hang_up()
        self.assertEqual(self.client.version, MQTT_5)

    def test_no_older_version_without_auth(self) -> None:
        """Who asks the Server for AUTH (4.12) does not fall back on a version that has none."""
        self.make_client(versions=(MQTT_5, MQTT_3_1_1), authenticator=ScramSHA256("us", "secret"))
        Server(self.client).hang_up()
        Server(self.client).send(ConnAck(False, 0x84))
        self.assertEqual(self.client.version, MQTT_5)

    def test_nothing_is_left_out(self) -> None:
        """Properties that say nothing are no loss."""
        self.make_client(versions=(MQTT_3_1_1,), will=Will("t"), properties=Properties())
        self.connect()
        self.assertEqual(self.owner.losses, [])

    def test_what_is_left_out(self) -> None:
        """What an older version that was fallen back to can't say is told, once for each connection."""
        will = Will("t", properties=Properties(will_delay_interval=5))
        properties = Properties(user_properties=(("k", "v"),))
        self.make_client(versions=(MQTT_5, MQTT_3_1_1), will=will, properties=properties)
        Server(self.client).send(ConnAck(False, 0x84))
        self.assertEqual(self.owner.losses, [])
        self.publish(b"offline", 1, properties=Properties(content_type="text/plain"))
        self.client.subscribe(SubscriptionOptions("a", 1, no_local=True), lambda: None, 1)
        for _ in range(2):
            server = self.connect()
            for qos in (0, 1):
                self.publish(b"x", qos, properties=Properties(message_expiry_interval=9))
            told, self.owner.losses = self.owner.losses, []
            kinds = ("CONNECT", "messages", "the Will")
            expected = ["options of subscriptions", *[f"properties of {kind}" for kind in kinds]]
            self.assertEqual(sorted(told), expected)
            server.hang_up()

    def test_one_at_a_time(self) -> None:
        """There is one connection at a time."""
        self.connect()
        self.assertRaises(ValueError, Server, self.client)

    def test_a_bad_will(self) -> None:
        """A Will that can't be sent is refused with the settings, before any connection [MQTT-3.1.2-12]
        [3.1.1: MQTT-3.1.2-14]."""
        for will in (Will("a/#"), Will("t", b"", 3), Will("")):
            for version in VERSIONS:
                self.assertRaises(ValueError, self.make_client, will=will, versions=(version,))


class ConnackTests(ClientTestCase):
    def test_session_present_of_a_clean_start(self) -> None:
        """Session Present where no session can be closes the connection [MQTT-3.2.2-4]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,))
            server = Server(self.client)
            server.take()
            server.send(ConnAck(True))
            self.assertEqual(server.take(), [Disconnect(0x82)] if version == MQTT_5 else [])
            self.assertEqual((server.is_closed, self.owner.connacks), (True, []))

    def test_session_lost(self) -> None:
        """A session that was expected and is not there is told, and what was not confirmed [MQTT-3.2.2-5]."""
        self.make_client(session_expiry_interval=100)
        self.connect().hang_up()
        self.publish(b"x", 1)
        self.assertEqual(self.owner.lost_sessions, [])
        self.connect(True).hang_up()
        self.connect(False)
        self.assertEqual((self.owner.lost_sessions, self.client.stats.sessions_lost), ([1], 1))

    def test_refused(self) -> None:
        """A refusal is told with its Reason Code, in 3.x with the nearest one, and why (3.2.2.2)."""
        server = Server(self.client)
        server.send(ConnAck(False, 0x9D, Properties(reason_string="moved", server_reference="b:1883")))
        [error] = self.owner.errors
        assert isinstance(error, ConnectRefused)
        self.assertEqual(
            (error.reason_code, error.reason_string, error.server_reference), (0x9D, "moved", "b:1883")
        )
        for code, meaning in enumerate((0x84, 0x85, 0x88, 0x86, 0x87), 1):
            self.make_client(versions=(MQTT_3_1_1,))
            server = Server(self.client)
            server.send_bytes(bytes((0x20, 2, 0, code)))
            self.assertEqual(getattr(self.owner.errors[-1], "reason_code", 0), meaning)
            self.assertTrue(server.is_closed)
        self.assertEqual(self.client.stats.refused_connections, 1)

    def test_no_assigned_identifier(self) -> None:
        """A Server that names us must say how [MQTT-3.2.2-16]."""
        self.make_client(client_id="")
        server = Server(self.client)
        server.take()
        server.send(ConnAck(False))
        self.assertEqual(server.take(), [Disconnect(0x82)])

    def test_bad_connacks(self) -> None:
        """A CONNACK that says what it must not ends the connection [MQTT-3.2.2-1] [MQTT-3.2.2-6]."""
        for version, data in (
            (MQTT_5, b"\x20\x03\x02\x00\x00"),
            (MQTT_5, b"\x20\x03\x01\x87\x00"),
            (MQTT_5, b"\x20\x03\x00\x01\x00"),
            (MQTT_5, b"\x20\x05\x00\x00\x02\x24\x02"),
            (MQTT_5, b"\x20\x06\x00\x00\x03\x21\x00\x00"),
            (MQTT_3_1_1, b"\x20\x02\x02\x00"),
            (MQTT_3_1_1, b"\x20\x02\x01\x05"),
            (MQTT_3_1_1, b"\x20\x02\x00\x06"),
        ):
            with self.subTest(data=data):
                self.make_client(versions=(version,))
                server = Server(self.client)
                server.take()
                server.send_bytes(data)
                self.assertTrue(server.is_closed)
                self.assertFalse(self.client.is_connected)
                self.assertLessEqual(len(server.take()), version == MQTT_5)

    def test_no_problem_information(self) -> None:
        """Reasons that were not asked for are a Protocol Error, but in three packets (3.1.2.11.7)."""
        why = Properties(reason_string="why")
        for answer in (SubAck(1, [0], why), UnsubAck(2, [0], why)):
            self.make_client(properties=Properties(request_problem_information=0))
            server = self.connect(reason_string="hello")
            self.client.unsubscribe(self.subscribe("t"))
            server.take()
            server.send(answer)
            self.assertEqual(server.take(), [Disconnect(0x82)])


class VersionTests(ClientTestCase):
    def versions_tried(self, *refusals: bytes) -> list[int]:
        self.make_client(versions=(MQTT_5, MQTT_3_1_1, MQTT_3_1))
        tried = []
        for refusal in refusals:
            server = Server(self.client)
            tried.append(server.version)
            server.send_bytes(refusal)
        return [*tried, self.client.version]

    def test_0x84(self) -> None:
        """A Server that does not speak a version is asked in the next one, and the last is the last."""
        new, old = b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x01"
        self.assertEqual(self.versions_tried(new, old, old), [5, 4, 3, 3])

    def test_an_old_server(self) -> None:
        """A Server that has never heard of MQTT 5.0 answers with the CONNACK of 3.1.1."""
        self.assertEqual(self.versions_tried(b"\x20\x02\x00\x01"), [5, 4])

    def test_other_refusals(self) -> None:
        """Another reason to refuse us has nothing to do with the version."""
        self.assertEqual(self.versions_tried(b"\x20\x03\x00\x87\x00", b"\x20\x02\x00\x05"), [5, 5, 5])

    def test_it_stays(self) -> None:
        """The version that a Server has accepted is used for the next connections."""
        self.assertEqual(self.versions_tried(b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x00")[-1], 4)
        self.client.disconnect()
        self.publish(b"x", 1, properties=Properties(content_type="text"))
        self.subscribe("t", no_local=True)
        server = self.connect()
        self.assertEqual((server.version, len(server.take())), (4, 2))


class KeepAliveTests(ClientTestCase):
    def pings(self, server: Server, seconds: int) -> list[int]:
        """When PINGREQ was sent, looked at every second; each is answered."""
        times = []
        for second in range(1, seconds + 1):
            self.advance(1)
            if PingReq() in server.take():
                times.append(second)
                server.send(PingResp())
        return times

    def test_pingreq(self) -> None:
        """PINGREQ goes out before Keep Alive is over, unless something else was sent [MQTT-3.1.2-20]
        [3.1.1: MQTT-3.1.2-23]."""
        for version in VERSIONS:
            self.make_client(versions=(version,), keep_alive=10)
            server = self.connect()
            self.assertEqual(self.pings(server, 25), [8, 16, 24])
            self.publish(b"x")
            server.take()
            self.assertEqual(self.pings(server, 9), [8])

    def test_short_ones(self) -> None:
        """With a Keep Alive of a second or two there is a PINGREQ every second [MQTT-3.1.2-20]."""
        for keep_alive in (1, 2):
            self.make_client(keep_alive=keep_alive)
            self.assertEqual(self.pings(self.connect(), 4), [1, 2, 3, 4])

    def test_none(self) -> None:
        """With a Keep Alive of 0 there are no PINGREQs (3.1.2.10)."""
        self.make_client(keep_alive=0)
        self.assertEqual(self.pings(self.connect(), 1_000), [])

    def test_server_keep_alive(self) -> None:
        """The Server's Keep Alive counts, if it has one [MQTT-3.1.2-21] [MQTT-3.2.2-21]."""
        self.make_client(keep_alive=60)
        self.assertEqual(self.pings(self.connect(server_keep_alive=5), 8), [3, 6])
        self.client.disconnect()
        self.assertEqual(self.pings(self.connect(server_keep_alive=0), 100), [])

    def test_no_pingresp(self) -> None:
        """A Server that says nothing after PINGREQ is left, without last words."""
        self.make_client(keep_alive=10, ping_timeout=5)
        server = self.connect()
        self.advance(8)
        self.assertEqual(server.take(), [PingReq()])
        self.advance(4)
        self.assertFalse(server.is_closed)
        self.advance(1)
        self.assertEqual((server.is_closed, server.take()), (True, []))
        self.assertIn("PINGREQ", str(self.owner.errors[0]))

    def test_a_long_packet(self) -> None:
        """A Server from which something comes is there, though PINGRESP has to wait for it."""
        self.make_client(keep_alive=10, ping_timeout=5)
        server = self.connect()
        self.advance(8)
        server.take()
        for byte in Publish("t", bytes(20)).encode(5):
            self.advance(3)
            server.send_bytes(bytes((byte,)))
        self.assertFalse(server.is_closed)

    def test_no_connack(self) -> None:
        """A Server that does not answer CONNECT is left after `connect_timeout`."""
        self.make_client(connect_timeout=30)
        server = Server(self.client)
        self.advance(29)
        self.assertFalse(server.is_closed)
        self.advance(1)
        self.assertTrue(server.is_closed)
        self.assertIn("no CONNACK", str(self.owner.errors[0]))


class EndTests(ClientTestCase):
    def test_disconnect(self) -> None:
        """After DISCONNECT the connection is closed and nothing more is sent [MQTT-3.14.4-1] [MQTT-3.14.4-2]
        [3.1.1: MQTT-3.14.4-1] [3.1.1: MQTT-3.14.4-2]."""
        for version in VERSIONS:
            self.make_client(versions=(version,))
            server = self.connect()
            self.client.disconnect()
            self.publish(b"x")
            self.subscribe("t")
            server.connection.receive_data(Publish("t", b"", 1, packet_id=1).encode(version))
            self.advance(100)
            self.assertEqual((server.take(), server.is_closed), ([Disconnect()], True))

    def test_with_will(self) -> None:
        """DISCONNECT with 0x04 leaves the Will to be sent; before MQTT 5.0 that takes no DISCONNECT."""
        for version in VERSIONS:
            self.make_client(versions=(version,))
            server = self.connect()
            self.client.disconnect(0x04)
            self.assertEqual(server.take(), [Disconnect(0x04)] if version == MQTT_5 else [])
            self.assertTrue(server.is_closed)

    def test_properties(self) -> None:
        """Properties that make DISCONNECT too large for the Server are left out [MQTT-3.14.2-3]
        [MQTT-3.14.2-4]."""
        for size, reason in ((100, "bye"), (10, None)):
            server = self.connect(maximum_packet_size=size)
            said = Properties(reason_string="bye", user_properties=(("a", "b"),))
            self.client.disconnect(0, "done", said)
            [packet] = server.take()
            self.assertEqual(packet.properties.reason_string, reason)

    def test_session_expiry(self) -> None:
        """A session that ends with its connection can't be prolonged by DISCONNECT (3.14.2.2.2)."""
        server = self.connect()
        later = Properties(session_expiry_interval=10)
        self.assertRaises(ValueError, self.client.disconnect, 0, "done", later)
        self.assertEqual(server.take(), [])
        self.make_client(session_expiry_interval=5)
        server = self.connect()
        self.client.disconnect(0, "done", later)
        self.assertEqual(server.take(), [Disconnect(0, later)])

    def test_by_the_server(self) -> None:
        """DISCONNECT of the Server is told with what it says, and nothing answers it (3.14.4)."""
        server = self.connect()
        server.send(Disconnect(0x9C, Properties(reason_string="full", server_reference="b")))
        [error] = self.owner.errors
        assert isinstance(error, ConnectionEnded)
        self.assertEqual((error.reason_code, error.from_server, error.server_reference), (0x9C, True, "b"))
        self.assertEqual((server.take(), server.is_closed), ([], True))

    def test_expiry_of_the_server(self) -> None:
        """A Server's DISCONNECT has no Session Expiry Interval [MQTT-3.14.2-2]."""
        server = self.connect()
        server.send(Disconnect(0x8B, Properties(session_expiry_interval=5)))
        self.assertEqual(server.take(), [Disconnect(0x82)])

    def test_every_cut(self) -> None:
        """A connection that breaks at any byte ends once, and the next one works (4.2)."""
        stream = ConnAck(False).encode(5) + Publish("t", b"x", 1, packet_id=1).encode(5)
        for size in range(len(stream)):
            self.make_client()
            self.owner.errors.clear()
            server = Server(self.client)
            server.send_bytes(stream[:size])
            server.hang_up()
            server.hang_up()
            self.assertEqual(len(self.owner.errors), 1)
            server.send_bytes(stream)  # which comes too late
            self.connect()
            self.assertTrue(self.client.is_connected)

    def test_any_stream(self) -> None:
        """The core needs an ordered stream of bytes and nothing else: one byte at a time does [MQTT-4.2-1]
        [MQTT-4.2.0-1] [3.1.1: MQTT-7.0.0-2] [3.1.1: MQTT-7.1.2-1]."""
        for version in VERSIONS:
            self.make_client(versions=(version,))
            self.received.clear()
            server = Server(self.client)
            for byte in ConnAck().encode(version):
                server.send_bytes(bytes((byte,)))
            server.take()
            self.subscribed(server)
            for byte in Publish("t", b"x" * 200, 1, packet_id=1).encode(version):
                server.send_bytes(bytes((byte,)))
            self.assertEqual(self.payloads, [b"x" * 200])
            self.assertEqual(Decoder(version).buffered, 0)
