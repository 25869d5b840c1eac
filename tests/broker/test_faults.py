"""Every faulty packet of the table of vectors, sent to it: what it answers, and that nobody else is hurt."""

from __future__ import annotations

from mqttwist.broker.settings import Settings
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Disconnect
from mqttwist.wire.packet import AUTH, CONNECT
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


class FaultTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.limits = Settings()

    def begin(self, fault: Fault) -> TestClient:
        """A broker with the limits of the vector, and a healthy client that subscribes to everything."""
        size = max(min(fault.maximum_packet_size, 16 << 20), 1024)
        self.start(Settings(maximum_packet_size=size))
        healthy = self.connected("healthy")
        healthy.subscribe("#")
        return healthy

    def check_healthy(self, healthy: TestClient) -> None:
        self.assertEqual(healthy.payloads(), [])
        healthy.publish("still", b"alive")
        self.assertEqual(healthy.payloads(), [b"alive"])
        self.assertEqual(self.broker.connection_count, 1)

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
                        healthy = self.begin(fault)
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
                        healthy = self.begin(fault)
                        client = self.client(version or 5)
                        self.feed(client, fault.data, bytewise)
                        self.check_refused(client, fault, version)
                        self.check_healthy(healthy)

    def check_refused(self, client: TestClient, fault: Fault, version: int) -> None:
        self.assertEqual(client.transport.closed, 1)
        self.assertEqual([code for code, _ in self.observer.of("faulted")], [fault.reason_code])
        if fault.reason_code == 0x84 or version != 5:
            return  # what is said then, `test_connection` tests
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
                healthy = self.begin(fault)
                client = self.client()
                client.send_bytes(fault.data)
                self.assertEqual((client.transport.data, client.transport.closed), (b"", 1))
                self.check_healthy(healthy)

    def test_lengths_that_do_not_add_up(self) -> None:
        """Valid packets that were cut or made longer: the client is sent away, nothing else happens."""
        healthy = self.connected("healthy")
        healthy.subscribe("healthy/#")
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
        self.check_healthy_only(healthy)

    def check_healthy_only(self, healthy: TestClient) -> None:
        healthy.take()
        healthy.publish("healthy/still", b"alive")
        self.assertEqual(healthy.payloads(), [b"alive"])
        self.assertEqual(self.broker.connection_count, 1)
