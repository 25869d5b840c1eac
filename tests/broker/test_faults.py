"""Every faulty packet of the table of vectors, sent to it: what it answers, and that nobody else is hurt."""

from __future__ import annotations

from mqttwist.broker.settings import Settings
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Disconnect
from mqttwist.wire.packet import AUTH, CONNECT
from mqttwist.wire.publish import Publish
from mqttwist.wire.reasons import REASON_CODES
from tests.broker.harness import BrokerTestCase, TestClient
from tests.wire.vectors import BEFORE_CONNECT, FAULTS, LENGTH_FAULTS, Fault

# What a client sends, and not so large a maximum that the table's large packets are small.
FROM_CLIENTS = [fault for fault in FAULTS if fault.from_client]


def expected_code(fault: Fault, version: int) -> int:
    """What the broker says: AUTH is out of place whatever it says, a second CONNECT too."""
    if fault.data[0] >> 4 == AUTH and fault.data[0] & 0x0F == 0 and version == 5:
        return 0x82
    return fault.reason_code


class HealthyTestCase(BrokerTestCase):
    """A client is at fault, and a healthy one is there before and after."""

    def begin(self, settings: Settings | None = None, topic_filter: str = "#") -> TestClient:
        """A broker, and a healthy client that subscribes at QoS 1, if `settings` let it."""
        self.start(settings)
        self.qos = min(1, self.broker.settings.maximum_qos)
        healthy = self.connected("healthy")
        self.assertEqual(healthy.subscribe(topic_filter, qos=self.qos).reason_codes, [self.qos])
        return healthy

    def check_healthy(self, healthy: TestClient, topic_name: str = "still") -> None:
        """It was sent nothing so far, still gets its messages at QoS 1, and nobody else is there."""
        self.assertEqual(healthy.take(), [])
        packet_id = healthy.publish(topic_name, b"alive", self.qos)
        if self.qos:
            self.assertEqual(healthy.take_one(PubAck), PubAck(packet_id))
        message = healthy.take_one(Publish)
        expected = topic_name, b"alive", self.qos
        self.assertEqual((message.topic_name, message.payload, message.qos), expected)
        healthy.ack(message)
        self.assertEqual(healthy.take(), [])
        self.assertEqual(self.broker.connection_count, 1)


class FaultTests(HealthyTestCase):
    def begin_for(self, fault: Fault) -> TestClient:
        """A broker with the limit of the vector; what can't be set stays at the least that can."""
        size = max(min(fault.maximum_packet_size, 16 << 20), 1024)
        return self.begin(Settings(maximum_packet_size=size))

    def feed(self, client: TestClient, data: bytes, bytewise: bool) -> None:
        for piece in [data[n : n + 1] for n in range(len(data))] if bytewise else [data]:
            client.send_bytes(piece)

    def test_connected(self) -> None:
        """DISCONNECT with the Reason Code of the fault in MQTT 5.0, a plain close in 3.x (4.13)."""
        for fault in FROM_CLIENTS:
            if fault.data[0] == CONNECT << 4 or fault.versions == BEFORE_CONNECT:
                continue
            if fault.maximum_packet_size < 1024:
                continue  # smaller than the setting can be
            for version in fault.versions:
                for bytewise in (False, True):
                    if bytewise and len(fault.data) > 5000:
                        continue
                    with self.subTest(fault.name, version=version, bytewise=bytewise):
                        healthy = self.begin_for(fault)
                        client = self.connected("faulty", version)
                        self.feed(client, fault.data, bytewise)
                        code = expected_code(fault, version)
                        if code not in REASON_CODES[14]:
                            code = 0x80
                        self.assertClosed(client, code)
                        self.check_healthy(healthy)

    def test_before_connect(self) -> None:
        """A faulty CONNECT gets a CONNACK with its Reason Code in MQTT 5.0, and a plain close in 3.x."""
        for fault in FROM_CLIENTS:
            if fault.data[0] != CONNECT << 4 or fault.maximum_packet_size < 1024:
                continue
            for version in fault.versions:
                for bytewise in (False, True):
                    if bytewise and len(fault.data) > 5000:
                        continue
                    with self.subTest(fault.name, version=version, bytewise=bytewise):
                        healthy = self.begin_for(fault)
                        client = self.client(version or 5)
                        self.feed(client, fault.data, bytewise)
                        self.check_refused(client, fault, version)
                        self.check_healthy(healthy)

    def check_refused(self, client: TestClient, fault: Fault, version: int) -> None:
        self.assertEqual(client.transport.closed, 1)
        self.assertEqual([code for code, _ in self.observer.of("faulted")], [fault.reason_code])
        if fault.reason_code == 0x84:
            return  # what is said then, `test_connection` tests
        if version != 5:
            self.assertEqual(client.transport.data, b"")
            return
        said = [one.reason_code for one in client.take() if isinstance(one, ConnAck)]
        self.assertIn(said, ([fault.reason_code], []))
        if not said:  # the fault stands before the version
            self.assertEqual(client.connection.version, 0)

    def test_first_packets(self) -> None:
        """Before CONNECT everything else closes the connection, and nothing is said [MQTT-3.1.0-1]."""
        for fault in FAULTS:
            if fault.versions != BEFORE_CONNECT:
                continue
            with self.subTest(fault.name):
                healthy = self.begin_for(fault)
                client = self.client()
                client.send_bytes(fault.data)
                self.assertEqual((client.transport.data, client.transport.closed), (b"", 1))
                self.check_healthy(healthy)

    def test_lengths_that_do_not_add_up(self) -> None:
        """Valid packets that were cut or made longer: the client is sent away, nothing else happens."""
        healthy = self.begin(topic_filter="healthy/#")
        for fault in LENGTH_FAULTS:
            if not fault.from_client or fault.data[0] == CONNECT << 4:
                continue
            for version in fault.versions:
                with self.subTest(fault.name, version=version):
                    client = self.connected("faulty", version)
                    client.send_bytes(fault.data)
                    self.assertTrue(client.is_closed)
                    said = [one.reason_code for one in client.take() if isinstance(one, Disconnect)]
                    self.assertEqual(said, [expected_code(fault, version)] if version == 5 else [])
        self.check_healthy(healthy, "healthy/still")

    def test_connects_whose_lengths_do_not_add_up(self) -> None:
        """A CONNECT that was cut or made longer: CONNACK with 0x81 in MQTT 5.0, a plain close in 3.x."""
        healthy = self.begin()
        for fault in LENGTH_FAULTS:
            if fault.data[0] != CONNECT << 4:
                continue
            with self.subTest(fault.name):
                self.observer.events.clear()
                client = self.client(5)
                client.send_bytes(fault.data)
                self.check_refused(client, fault, fault.versions[0])
        self.check_healthy(healthy)
