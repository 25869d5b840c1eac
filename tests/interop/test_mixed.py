"""Clients of different libraries and versions together at one broker."""

from __future__ import annotations

from typing import Any
from unittest import skipIf

from tests.interop.broker import BrokerTestCase
from tests.interop.clients import MQTT_3_1, MQTT_3_1_1, MQTT_5, Client, Connected, Connecting
from tests.interop.gmqtt_client import GmqttClient
from tests.interop.mqttjs_client import MqttJsClient, why_no_mqttjs
from tests.interop.paho_client import PahoClient

NOT_HERE = why_no_mqttjs()
HOUR = 3600
MANY = 2_000
EVERYBODY: tuple[tuple[type[Client], int], ...] = (
    (PahoClient, MQTT_3_1),
    (PahoClient, MQTT_3_1_1),
    (PahoClient, MQTT_5),
    (GmqttClient, MQTT_3_1_1),
    (GmqttClient, MQTT_5),
    (MqttJsClient, MQTT_3_1),
    (MqttJsClient, MQTT_3_1_1),
    (MqttJsClient, MQTT_5),
)


@skipIf(NOT_HERE is not None, str(NOT_HERE))
class MixedTests(BrokerTestCase):
    def make(self, kind: type[Client], version: int, client_id: str, **connecting: Any) -> Client:
        client = kind(Connecting(self.port, version, client_id, **connecting))
        self.addCleanup(client.close)
        return client

    def everybody(self) -> list[Client]:
        """One of each kind and version, connected."""
        clients = [
            self.make(kind, version, f"{kind.__name__}-{version}".replace("Client", ""))
            for kind, version in EVERYBODY
        ]
        for client in clients:
            self.assertEqual(client.connect(), Connected(0, False))
        return clients

    def test_everybody_hears_everybody(self) -> None:
        """A message from each client reaches all, the sender too, at each QoS."""
        clients = self.everybody()
        for qos in (0, 1, 2):
            for client in clients:
                self.assertEqual(client.subscribe(f"all/{qos}", qos), qos)
            for number, sender in enumerate(clients):
                sender.publish(f"all/{qos}", b"%d at %d" % (number, qos), qos)
                for receiver in clients:
                    received = receiver.next()
                    self.assertEqual((received.payload, received.qos), (b"%d at %d" % (number, qos), qos))

    def test_thousands_of_messages_to_everybody(self) -> None:
        """2,000 messages at QoS 2, from MQTT 3.1.1 to every client, arrive once each and in order."""
        clients = self.everybody()
        for client in clients:
            client.subscribe("many", 2)
        payloads = [b"message %d" % number for number in range(MANY)]
        publisher = self.make(PahoClient, MQTT_3_1_1, "publisher")
        publisher.connect()
        publisher.publish_all("many", payloads, 2)
        for client in clients:
            self.assertEqual([message.payload for message in client.next_all(MANY)], payloads)

    def test_a_session_goes_from_client_to_client(self) -> None:
        """A session that one library began is resumed by others in other versions, with all that waits."""
        publisher = self.make(PahoClient, MQTT_5, "publisher")
        publisher.connect()
        owner = self.make(PahoClient, MQTT_3_1_1, "traveller", clean=False)
        self.assertEqual(owner.connect(), Connected(0, False))
        owner.subscribe("to/traveller", 2)
        heirs = (
            (GmqttClient, MQTT_5),
            (MqttJsClient, MQTT_3_1_1),
            (PahoClient, MQTT_5),
            (MqttJsClient, MQTT_5),
        )
        for kind, version in heirs:
            with self.subTest(kind=kind.__name__, version=version):
                owner.disconnect()
                payloads = [b"for %s %d" % (kind.__name__.encode(), number) for number in range(50)]
                publisher.publish_all("to/traveller", payloads, 2)
                owner = self.make(kind, version, "traveller", clean=False, session_expiry=HOUR)
                self.assertEqual(owner.connect(), Connected(0, True))
                self.assertEqual([message.payload for message in owner.next_all(50)], payloads)

    def test_topic_aliases(self) -> None:
        """Messages with Topic Aliases, from a client and to clients, arrive under their topics."""
        publisher = self.make(MqttJsClient, MQTT_5, "publisher", topic_alias_maximum=10)
        kinds: tuple[type[Client], ...] = (MqttJsClient, GmqttClient)
        subscribers = [self.make(kind, MQTT_5, kind.__name__, topic_alias_maximum=2) for kind in kinds]
        for client in (publisher, *subscribers):
            client.connect()
        for subscriber in subscribers:
            subscriber.subscribe("a/#", 1)
        topics = [f"a/topic/{number % 5}" for number in range(30)]
        for topic in topics:
            publisher.publish(topic, topic.encode(), 1)
        for subscriber in subscribers:
            received = subscriber.next_all(len(topics))
            self.assertEqual([message.topic for message in received], topics)
            self.assertEqual([message.payload.decode() for message in received], topics)
