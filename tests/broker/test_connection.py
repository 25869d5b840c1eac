"""`mqttwist.broker.connection`: every packet in every state, CONNECT, time limits, keep alive, DISCONNECT."""

from __future__ import annotations

from collections.abc import Callable

from mqttwist.broker.connection import CONNECT_LIMIT, RECEIVERS, ServerConnection
from mqttwist.broker.settings import Settings
from mqttwist.session.connection import AUTHENTICATING, AWAITING_CONNECT, CLOSED, CONNECTED
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Auth, Disconnect, PingReq, PingResp
from mqttwist.wire.datatypes import encode_variable_byte_integer
from mqttwist.wire.packet import AUTH, CONNECT, PACKET_NAMES, PUBLISH
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.broker.harness import VERSIONS, AnyPacket, BrokerTestCase, TestClient

# One good packet of each type, as a client or a server would send it.
SAMPLES: tuple[AnyPacket, ...] = (
    Connect("sample"),
    ConnAck(),
    Publish("a", b"hi", 1, packet_id=1),
    PubAck(1),
    PubRec(1),
    PubRel(1),
    PubComp(1),
    Subscribe(1, [SubscriptionOptions("a")]),
    SubAck(1, [0]),
    Unsubscribe(1, ["a"]),
    UnsubAck(1, [0]),
    PingReq(),
    PingResp(),
    Disconnect(),
    Auth(0x18, Properties(authentication_method="m")),
)


def packet_type(packet: AnyPacket) -> int:
    return packet.encode(5)[0] >> 4


def sample_bytes(packet: AnyPacket, version: int) -> bytes:
    """The sample in this version, where it is of one that has no such packet: as MQTT 5.0 has it."""
    if isinstance(packet, Connect):
        return Connect("sample", version).encode()
    return packet.encode(5 if isinstance(packet, Auth) else version)


class NoLogin:
    """A login that takes its time: keeps the connections that wait for it."""

    def __init__(self) -> None:
        self.waiting: list[ServerConnection] = []

    def __call__(self, connection: ServerConnection, connect: Connect) -> None:
        self.waiting.append(connection)


class EveryPacketInEveryStateTests(BrokerTestCase):
    def test_the_table_has_every_state(self) -> None:
        """Each state has its row, and the samples have every packet type."""
        self.assertEqual(set(RECEIVERS), {AWAITING_CONNECT, AUTHENTICATING, CONNECTED, CLOSED})
        self.assertEqual([packet_type(one) for one in SAMPLES], list(range(1, 16)))

    def test_before_connect(self) -> None:
        """Anything but CONNECT closes the connection without a word [MQTT-3.1.0-1]."""
        for version in VERSIONS:
            for packet in SAMPLES:
                if packet_type(packet) in RECEIVERS[AWAITING_CONNECT]:
                    continue
                with self.subTest(version=version, packet=PACKET_NAMES[packet_type(packet)]):
                    client = self.client(version)
                    client.send_bytes(sample_bytes(packet, version))
                    self.assertEqual(client.transport.data, b"")
                    self.assertTrue(client.is_closed)

    def test_while_the_login_is_waited_for(self) -> None:
        """Nothing is looked at before the login is through; afterwards it counts as if it came then."""
        for version in VERSIONS:
            for packet in SAMPLES:
                with self.subTest(version=version, packet=PACKET_NAMES[packet_type(packet)]):
                    login = NoLogin()
                    self.start(login=login)
                    client = self.client(version)
                    client.send_connect("c")
                    client.send_bytes(sample_bytes(packet, version))
                    self.assertEqual((client.transport.data, client.is_closed), (b"", False))
                    login.waiting[0].accept(None)
                    self.check_connected(client, packet)

    def test_connected(self) -> None:
        """What a Server sends, a second CONNECT and AUTH are Protocol Errors; the rest is dealt with."""
        for version in VERSIONS:
            for packet in SAMPLES:
                with self.subTest(version=version, packet=PACKET_NAMES[packet_type(packet)]):
                    client = self.connected("c", version)
                    client.send_bytes(sample_bytes(packet, version))
                    self.check_connected(client, packet)

    def check_connected(self, client: TestClient, packet: AnyPacket) -> None:
        kind = packet_type(packet)
        if kind == PUBLISH or kind in RECEIVERS[CONNECTED]:
            self.assertEqual(client.is_closed, isinstance(packet, Disconnect))
            if client.version == 5:
                self.assertEqual([one for one in client.take() if isinstance(one, Disconnect)], [])
            return
        self.assertClosed(client, 0x82)
        clause = {CONNECT: "MQTT-3.1.0-2", AUTH: "MQTT-4.12.0-7"}.get(kind, "2.1.2")
        if kind == AUTH and client.version != 5:
            return  # the decoder knows no such packet
        self.assertEqual(self.observer.of("faulted")[-1], (0x82, clause))

    def test_closed(self) -> None:
        """After the end nothing is looked at and nothing is said [MQTT-3.14.4-1]."""
        for version in VERSIONS:
            for packet in SAMPLES:
                with self.subTest(version=version, packet=PACKET_NAMES[packet_type(packet)]):
                    client = self.connected("c", version)
                    client.disconnect()
                    before = len(client.transport.data)
                    client.send_bytes(sample_bytes(packet, version))
                    client.lose()
                    self.assertEqual(len(client.transport.data), before)
                    self.assertEqual(client.transport.closed, 1)

    def test_packets_after_a_fault_in_the_same_read(self) -> None:
        """What follows a faulty packet is not looked at, even if it came with it."""
        subscriber = self.connected("s")
        subscriber.subscribe("#")
        client = self.connected("c")
        client.send_bytes(PingResp().encode(5) + Publish("a", b"late").encode(5))
        self.assertClosed(client, 0x82)
        self.assertEqual(subscriber.take(), [])


class ConnectTests(BrokerTestCase):
    def test_each_version_is_accepted(self) -> None:
        """CONNECT is answered by CONNACK 0x00, whole or byte by byte [MQTT-3.1.4-5]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.client(version)
                for byte in Connect("c", version).encode():
                    self.assertEqual(client.transport.data, b"")
                    client.send_bytes(bytes([byte]))
                self.assertEqual(client.take_one(ConnAck).reason_code, 0)

    def test_packets_right_behind_connect(self) -> None:
        """A client need not wait for CONNACK (3.1.4, non normative)."""
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.client(version)
                client.send_bytes(Connect("c", version).encode() + PingReq().encode(version))
                self.assertEqual([type(one) for one in client.take()], [ConnAck, PingResp])
                self.assertEqual(client.transport.writes, 1)

    def test_unknown_versions(self) -> None:
        """Versions we don't speak get 0x84, or return code 1 in the form of 3.1.1 [MQTT-3.1.2-2]."""
        for version, expected in (
            (0, b"\x20\x02\x00\x01"),
            (2, b"\x20\x02\x00\x01"),
            (3, b"\x20\x02\x00\x01"),  # "MQTT" is no name for 3.1
            (6, b"\x20\x03\x00\x84\x00"),
            (0x7F, b"\x20\x03\x00\x84\x00"),
            (0x84, b"\x20\x02\x00\x01"),  # a bridge that speaks 3.1.1
            (0x85, b"\x20\x02\x00\x01"),
        ):
            with self.subTest(version=version):
                client = self.client(5)
                client.send_bytes(b"\x10\x0d\x00\x04MQTT" + bytes([version, 2, 0, 0]) + b"\x00\x01c")
                self.assertEqual(client.transport.data, expected)
                self.assertTrue(client.is_closed)

    def test_another_protocol(self) -> None:
        """A Protocol Name that is not MQTT's is closed without a word [MQTT-3.1.2-1]."""
        client = self.client(5)
        client.send_bytes(b"\x10\x0d\x00\x04HTTP\x05\x02\x00\x00\x00\x01c")
        self.assertEqual((client.transport.data, client.is_closed), (b"", True))

    def test_a_malformed_connect(self) -> None:
        """MQTT 5.0 is told 0x81 in CONNACK, 3.x is closed without a word [MQTT-3.1.4-1]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                good = Connect("c", version).encode()
                client = self.client(version)
                client.send_bytes(bytes([good[0], good[1] + 1]) + good[2:] + b"\x00")
                said = [one.reason_code for one in client.take() if isinstance(one, ConnAck)]
                self.assertEqual(said, [0x81] if version == 5 else [])
                self.assertTrue(client.is_closed)

    def test_authentication_methods_are_refused(self) -> None:
        """Enhanced authentication is not supported: 0x8C [MQTT-4.12.0-1]."""
        client = self.client()
        connack = client.connect("c", authentication_method="SCRAM-SHA-1")
        self.assertEqual(connack.reason_code, 0x8C)
        self.assertIn("SCRAM-SHA-1", connack.properties.reason_string or "")
        self.assertTrue(client.is_closed)

    def test_a_huge_authentication_method(self) -> None:
        """A name of 64 KB is cut short in the Reason String instead of being too long to be said."""
        client = self.client()
        connack = client.connect("c", authentication_method="m" * 65_535)
        self.assertEqual(connack.reason_code, 0x8C)
        self.assertTrue(len(connack.properties.reason_string or "") <= 500)

    def test_a_huge_will_topic(self) -> None:
        """The same for a will that is not allowed and whose topic is quoted."""
        client = self.client()
        connack = client.connect("c", will=Will("$SYS/" + "\u20ac" * 21_000))
        self.assertEqual(connack.reason_code, 0x87)
        self.assertTrue(client.is_closed)

    def test_nothing_after_a_refusal_is_looked_at(self) -> None:
        """If the CONNECT is rejected, no data after it is processed [MQTT-3.1.4-6]."""
        subscriber = self.connected("s")
        subscriber.subscribe("#")
        client = self.client()
        refused = Connect("c", properties=Properties(authentication_method="m"))
        client.send_bytes(refused.encode() + Publish("a", b"hi").encode(5))
        self.assertEqual([type(one) for one in client.take()], [ConnAck])
        self.assertEqual(subscriber.take(), [])

    def test_a_packet_larger_than_the_maximum(self) -> None:
        """A packet beyond maximum_packet_size is refused from its fixed header: 0x95."""
        self.start(Settings(maximum_packet_size=1024))
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.connected("c", version)
                client.send_bytes(b"\x30\x80\x10")  # 2048 bytes are to follow
                self.assertClosed(client, 0x95)

    def test_a_connect_has_a_limit_of_its_own(self) -> None:
        """Before the login little is kept for a client: a CONNECT of more than 512 KiB is refused unread."""
        for length, refused in ((CONNECT_LIMIT - 4, False), (CONNECT_LIMIT - 3, True)):
            client = self.client()
            client.send_bytes(b"\x10" + encode_variable_byte_integer(length))
            self.assertEqual(client.is_closed, refused)
        client = self.connected("c")
        client.subscribe("a")
        client.publish("a", b"x" * (CONNECT_LIMIT + 1))
        self.assertEqual(len(client.take_one(Publish).payload), CONNECT_LIMIT + 1)

    def test_an_own_maximum_that_is_too_small(self) -> None:
        """A client that could not even take the CONNACK is told 0x95, or closed, and never left waiting."""
        for size, said in ((15, [0x95]), (5, [0x95]), (4, [])):
            with self.subTest(size=size):
                client = self.client()
                client.send_connect("tiny", maximum_packet_size=size)
                self.assertEqual([one.reason_code for one in client.take() if isinstance(one, ConnAck)], said)
                self.assertTrue(client.is_closed)
                self.assertIsNone(self.broker.sessions.get("tiny"))
        self.assertEqual(self.connected("tiny", maximum_packet_size=16).ping(), PingResp())

    def test_an_answer_larger_than_the_clients_maximum(self) -> None:
        """A SUBACK that is too large is not sent, and the client is told so instead of waiting for ever."""
        client = self.connected("c", maximum_packet_size=64)
        client.send(Subscribe(1, [SubscriptionOptions(f"a{n}") for n in range(100)]))
        self.assertTrue(client.is_closed)
        self.assertEqual(self.observer.of("faulted"), [(0x95, "MQTT-3.1.2-24")])


class TimeTests(BrokerTestCase):
    def test_connect_has_a_time_limit(self) -> None:
        """A connection on which no CONNECT came in 10 s is closed without a word, and no earlier."""
        client = self.client()
        client.send_bytes(b"\x10\x20")
        self.advance(9.9)
        self.assertFalse(client.is_closed)
        self.advance(0.2)
        self.assertEqual((client.transport.data, client.is_closed), (b"", True))
        self.assertEqual(self.observer.of("refused"), [(0, "no CONNECT within 10 s")])
        self.assertEqual(self.broker.connection_count, 0)

    def test_the_time_limit_ends_with_the_acceptance(self) -> None:
        """A client that is connected has all the time of the world when its Keep Alive is 0 (3.1.2.10)."""
        client = self.connected("c")
        self.advance(1_000_000)
        self.assertFalse(client.is_closed)
        self.assertEqual(len(self.broker.deadlines), 0)

    def test_a_login_has_the_same_time_limit(self) -> None:
        """A login that takes longer is refused: 0x88."""
        login = NoLogin()
        self.start(login=login)
        client = self.client()
        client.send_connect("c")
        self.advance(10)
        self.assertEqual(client.take_one(ConnAck).reason_code, 0x88)
        self.assertTrue(client.is_closed)
        self.assertFalse(login.waiting[0].accept(None))
        self.assertEqual(len(client.take()), 0)

    def test_keep_alive(self) -> None:
        """After 1.5 times the Keep Alive without data the client is sent away: 0x8D [MQTT-3.1.2-22]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.connected("c", version, keep_alive=10)
                self.advance(14.9)
                self.assertFalse(client.is_closed)
                self.advance(0.1)
                self.assertClosed(client, 0x8D)

    def test_keep_alive_is_never_early(self) -> None:
        """Whatever was received last counts, however often and when the clock ticks."""
        client = self.connected("c", keep_alive=10)
        for _ in range(20):
            for _ in range(7):
                self.advance(2)
            client.ping()
        self.advance(14.99)
        self.assertFalse(client.is_closed)
        self.advance(0.01)
        self.assertTrue(client.is_closed)

    def test_keep_alive_counts_from_the_acceptance(self) -> None:
        """Nothing is read while a login is waited for: that time is not held against the client."""
        login = NoLogin()
        self.start(login=login)
        client = self.client()
        client.send_connect("c", keep_alive=2)
        self.advance(8)
        login.waiting[0].accept(None)
        self.advance(2.9)
        self.assertFalse(client.is_closed)
        self.advance(0.1)
        self.assertClosed(client, 0x8D)

    def test_server_keep_alive_counts(self) -> None:
        """The Keep Alive that the Server has said is the one that is used [MQTT-3.2.2-21]."""
        self.start(Settings(maximum_keep_alive=10))
        client = self.client()
        self.assertEqual(client.connect("c", keep_alive=100).properties.server_keep_alive, 10)
        self.advance(15)
        self.assertClosed(client, 0x8D)

    def test_deadlines_end_with_the_connection(self) -> None:
        """A connection that is over leaves nothing behind that is due later."""
        for end in (
            lambda client: client.lose(),
            lambda client: client.disconnect(),
            lambda client: client.send_bytes(b"\x00\x00"),
        ):
            self.end(end)

    def end(self, end: Callable[[TestClient], object]) -> None:
        client = self.connected("c", keep_alive=10)
        end(client)
        self.assertEqual(len(self.broker.deadlines), 0)
        self.assertEqual(self.broker.connection_count, 0)


class LoginTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.login = NoLogin()
        self.start(login=self.login)

    def test_data_that_came_meanwhile(self) -> None:
        """Reading stops while the login is waited for, and what had come is dealt with after it, in order."""
        client = self.client()
        client.send_connect("c")
        self.assertFalse(client.transport.reading)
        stream = Subscribe(1, [SubscriptionOptions("a")]).encode(5) + Publish("a", b"hi").encode(5)
        for byte in stream:
            client.send_bytes(bytes([byte]))
        self.assertTrue(self.login.waiting[0].accept(None))
        self.assertTrue(client.transport.reading)
        self.assertEqual([type(one) for one in client.take()], [ConnAck, SubAck, Publish])

    def test_a_refusal_later(self) -> None:
        """`refuse` answers with its Reason Code, and nothing that came meanwhile is looked at."""
        for version, code in ((3, 4), (4, 4), (5, 0x86)):
            with self.subTest(version=version):
                client = self.client(version)
                client.send_connect("c", username="u", password=b"p")
                client.send_bytes(PingReq().encode(version))
                self.login.waiting[-1].refuse(0x86, "bad user name or password")
                self.assertEqual(
                    [one.reason_code for one in client.take() if isinstance(one, ConnAck)], [code]
                )
                self.assertTrue(client.is_closed)
                self.assertEqual(self.broker.connection_count, 0)

    def test_only_the_first_answer_counts(self) -> None:
        """A login that answers twice changes nothing with its second answer."""
        client = self.client()
        client.send_connect("c")
        connection = self.login.waiting[0]
        self.assertTrue(connection.accept(None))
        self.assertFalse(connection.accept(None))
        connection.refuse(0x87, "no")
        self.assertEqual([type(one) for one in client.take()], [ConnAck])
        self.assertFalse(client.is_closed)

    def test_a_client_that_has_gone_meanwhile(self) -> None:
        """`accept` answers False when the client has gone, and no session is made."""
        client = self.client()
        client.send_connect("c", clean_start=False, session_expiry_interval=100)
        client.lose()
        ended: list[str] = []
        self.assertFalse(self.login.waiting[0].accept(None, lambda: ended.append("end")))
        self.login.waiting[0].refuse(0x87, "no")
        self.assertEqual((len(self.broker.sessions), client.transport.data, ended), (0, b"", []))
        self.assertEqual(len(self.observer.of("refused")), 1)

    def test_on_end_is_called_once(self) -> None:
        """What the login wants to know at the end of an accepted connection it is told once."""
        client = self.client()
        client.send_connect("c")
        ended: list[str] = []
        self.login.waiting[0].accept(None, lambda: ended.append("end"))
        self.assertEqual(ended, [])
        client.disconnect()
        client.lose()
        self.assertEqual(ended, ["end"])

    def test_two_logins_of_one_client_at_once(self) -> None:
        """The one that is accepted later takes over, whoever came first."""
        first, second = self.client(), self.client()
        first.send_connect("c")
        second.send_connect("c")
        self.login.waiting[1].accept(None)
        self.login.waiting[0].accept(None)
        self.assertEqual(first.take_one(ConnAck).reason_code, 0)
        self.assertClosed(second, 0x8E)
        self.assertEqual(self.broker.sessions.connected, 1)

    def test_the_limit_of_connections_counts_after_the_login(self) -> None:
        """Clients that log in at the same time can't get past maximum_connections: 0x89."""
        self.start(Settings(maximum_connections=1), login=self.login)
        first, second = self.client(), self.client()
        first.send_connect("1")
        second.send_connect("2")
        self.assertTrue(self.login.waiting[0].accept(None))
        self.assertFalse(self.login.waiting[1].accept(None))
        self.assertEqual(second.take_one(ConnAck).reason_code, 0x89)
        self.assertEqual(self.broker.sessions.connected, 1)

    def test_shut_down_while_logging_in(self) -> None:
        """The stop of the Server refuses those who wait for their login."""
        client = self.client()
        client.send_connect("c")
        silent = self.client()
        self.broker.shut_down()
        self.assertEqual(client.take_one(ConnAck).reason_code, 0x88)
        self.assertTrue(client.is_closed)
        self.assertEqual((silent.transport.data, silent.is_closed), (b"", True))
        self.assertEqual(self.broker.connection_count, 0)


class DisconnectTests(BrokerTestCase):
    def test_reason_codes_of_a_client(self) -> None:
        """DISCONNECT ends the connection without an answer, in every version [MQTT-3.14.4-2]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.connected("c", version)
                client.disconnect()
                self.assertEqual((client.take(), client.transport.closed), ([], 1))
        self.assertEqual(self.observer.of("disconnected")[-1], ("c", "DISCONNECT by the client"))

    def test_the_words_of_a_client_are_cut_short(self) -> None:
        """What a client says with DISCONNECT can't make the log grow without bound."""
        client = self.connected("c")
        client.disconnect(0x80, reason_string="x" * 60_000)
        [(_, cause)] = self.observer.of("disconnected")
        self.assertTrue(cause.startswith("DISCONNECT by the client with 0x80: 'xxx"))
        self.assertTrue(len(cause) < 1000)

    def test_reason_strings_only_if_wanted(self) -> None:
        """A Reason String is sent, but not to a client with Request Problem Information 0 [MQTT-3.1.2-29]."""
        for wanted in (None, 1, 0):
            with self.subTest(wanted=wanted):
                client = self.connected("c", request_problem_information=wanted)
                client.send_bytes(b"\x00\x00")
                reason = client.take_one(Disconnect).properties.reason_string
                self.assertEqual(reason is None, wanted == 0)
                client = self.client()
                connack = client.connect("", authentication_method="m", request_problem_information=wanted)
                self.assertEqual(connack.properties.reason_string is None, wanted == 0)

    def test_reason_strings_that_do_not_fit(self) -> None:
        """A Reason String must not make DISCONNECT larger than the client allows [MQTT-3.14.2-3]."""
        client = self.connected("c", maximum_packet_size=40)
        client.send_bytes(b"\x31\x00")
        disconnect = client.take_one(Disconnect)
        self.assertTrue(len(disconnect.encode(5)) <= 40)
        self.assertEqual(disconnect.reason_code, 0x81)

    def test_session_expiry_at_disconnect(self) -> None:
        """DISCONNECT may change the Session Expiry Interval, within the limit of the Server (3.14.2.2.2)."""
        self.start(Settings(maximum_session_expiry=1000))
        for interval, kept in ((0, False), (50, True), (100_000, True)):
            with self.subTest(interval=interval):
                client = self.connected("c", session_expiry_interval=10)
                client.disconnect(session_expiry_interval=interval)
                session = self.broker.sessions.get("c")
                self.assertEqual(session is not None, kept)
                if session is not None:
                    self.assertEqual(session.expiry_interval, min(interval, 1000))

    def test_session_expiry_that_was_zero(self) -> None:
        """A session that was to end with its connection can not be prolonged: 0x82 (3.14.2.2.2)."""
        for before in (None, 0):
            client = self.connected("c", session_expiry_interval=before)
            client.disconnect(session_expiry_interval=10)
            self.assertClosed(client, 0x82)
            self.assertIsNone(self.broker.sessions.get("c"))

    def test_server_reference_of_a_client(self) -> None:
        """Only a Server sends a Server Reference: 0x82, nothing else of it counts (3.14.2.2.5)."""
        client = self.connected("c", session_expiry_interval=10)
        client.disconnect(server_reference="other", session_expiry_interval=99)
        self.assertClosed(client, 0x82)
        session = self.broker.sessions.get("c")
        self.assertEqual(None if session is None else session.expiry_interval, 10)

    def test_take_over(self) -> None:
        """A second connection with the same client id closes the first: 0x8E [MQTT-3.1.4-3]."""
        for old in VERSIONS:
            for new in VERSIONS:
                with self.subTest(old=old, new=new):
                    first = self.connected("c", old)
                    second = self.connected("c", new)
                    self.assertClosed(first, 0x8E)
                    self.assertFalse(second.is_closed)
                    self.assertEqual(self.broker.sessions.connected, 1)
                    first.lose()
                    self.assertEqual(self.broker.sessions.connected, 1)
                    second.ping()

    def test_shut_down(self) -> None:
        """Every MQTT 5.0 client is told 0x8B, and all are closed; sessions that outlive this are kept."""
        clients = [self.connected(f"c{version}", version) for version in VERSIONS]
        kept = self.connected("kept", session_expiry_interval=100)
        self.broker.shut_down()
        for client in (*clients, kept):
            self.assertClosed(client, 0x8B)
        self.assertEqual(len(self.broker.sessions), 1)
        self.assertEqual(self.broker.connection_count, 0)

    def test_nothing_is_sent_after_disconnect(self) -> None:
        """After DISCONNECT the Server sends no more packets, not even a message of the same turn."""
        client = self.connected("c", session_expiry_interval=10, will=Will("a", b"will", 1))
        client.subscribe("a", qos=1)
        client.send_bytes(b"\x00\x00")
        packets = client.take()
        self.assertEqual([type(one) for one in packets], [Disconnect])
        again = self.connected("c", clean_start=False)
        self.assertEqual(again.payloads(), [b"will"])
